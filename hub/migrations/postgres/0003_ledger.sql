-- Amounts are a sign and 38 digits.
CREATE TABLE ledger_assets (
    asset TEXT PRIMARY KEY,
    rules TEXT NOT NULL,
    record TEXT NOT NULL
);

CREATE TABLE ledger_accounts (
    id TEXT PRIMARY KEY,
    asset TEXT NOT NULL,
    holder TEXT NOT NULL,
    floor TEXT,
    ceiling TEXT,
    version BIGINT NOT NULL,
    balance TEXT NOT NULL,
    earned TEXT NOT NULL,
    spent TEXT NOT NULL,
    held TEXT NOT NULL,
    incoming TEXT NOT NULL
);
CREATE INDEX ledger_accounts_holder ON ledger_accounts (holder, id);
CREATE INDEX ledger_accounts_asset ON ledger_accounts (asset, id);

CREATE TABLE ledger_operations (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL
);

CREATE TABLE ledger_entries (
    account TEXT NOT NULL,
    version BIGINT NOT NULL,
    operation TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount TEXT NOT NULL,
    balance TEXT NOT NULL,
    other TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (account, version)
);
CREATE INDEX ledger_entries_operation ON ledger_entries (operation);
-- As the log's. Only a repair of what the log says goes past it, in its own transaction.
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE TABLE ledger_holds (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    payer TEXT NOT NULL,
    payee TEXT NOT NULL,
    amount TEXT NOT NULL,
    captured TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    ended_by TEXT
);
CREATE INDEX ledger_holds_open ON ledger_holds (expires_at, id) WHERE state = 'open';
CREATE INDEX ledger_holds_payer ON ledger_holds (payer, id) WHERE state = 'open';
CREATE INDEX ledger_holds_payee ON ledger_holds (payee, id) WHERE state = 'open';

-- What was undone, once each, and by which operation.
CREATE TABLE ledger_reversals (
    reversed TEXT PRIMARY KEY,
    operation TEXT NOT NULL UNIQUE,
    amount TEXT NOT NULL
);
