CREATE TABLE purchases (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE,
    deal TEXT NOT NULL UNIQUE,
    listing TEXT NOT NULL,
    buyer TEXT NOT NULL,
    seller TEXT NOT NULL,
    audience TEXT NOT NULL,
    terms TEXT NOT NULL,
    agreement TEXT NOT NULL,
    -- What the parties' records left it at; the chain's events are folded over this.
    said TEXT NOT NULL,
    status TEXT NOT NULL,
    position TEXT NOT NULL,
    -- What of it stands in the ledger; none before anything does.
    mirrored TEXT,
    provisional TEXT,
    signature TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX purchases_buyer ON purchases (buyer, seq);
CREATE INDEX purchases_seller ON purchases (seller, seq);

-- What the hub holds of each event about one of its deals; `seq` is the record's place in the log that told it last, `undone`
-- whether a record says that it left the chain although it was final.
CREATE TABLE chain_events (
    event TEXT PRIMARY KEY,
    deal TEXT NOT NULL,
    finality TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    undone INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX chain_events_deal ON chain_events (deal);
CREATE INDEX chain_events_unsettled ON chain_events (seq) WHERE finality IN ('seen', 'safe');

-- How far a relayer has brought each chain's feed, and how many of its deliveries something was kept of. No record says it: it
-- stands for what the log has.
CREATE TABLE brought (
    chain TEXT PRIMARY KEY,
    deliveries INTEGER NOT NULL,
    feed TEXT NOT NULL,
    seq INTEGER NOT NULL
) STRICT;

CREATE TABLE intents (
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    deal TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE intent_progress (
    key TEXT PRIMARY KEY,
    progress TEXT NOT NULL,
    reported_at INTEGER NOT NULL
) STRICT;

CREATE TABLE cases (
    deal TEXT PRIMARY KEY,
    purchase TEXT NOT NULL,
    body TEXT NOT NULL,
    disputed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE seats (
    deal TEXT NOT NULL,
    instance INTEGER NOT NULL,
    jury INTEGER NOT NULL,
    seat INTEGER NOT NULL,
    wallet TEXT NOT NULL,
    PRIMARY KEY (deal, instance, jury, seat)
) STRICT;
CREATE INDEX seats_wallet ON seats (wallet);

CREATE TABLE evidence (
    id TEXT PRIMARY KEY,
    deal TEXT NOT NULL,
    author TEXT NOT NULL,
    hash TEXT NOT NULL,
    uri TEXT NOT NULL,
    note TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX evidence_deal ON evidence (deal, created_at);

CREATE TABLE ballots (
    deal TEXT NOT NULL,
    instance INTEGER NOT NULL,
    jury INTEGER NOT NULL,
    seat INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    handed_in INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (deal, instance, jury, seat)
) STRICT;

-- Jurors' wallets that have stepped aside in the case of a deal, and by which record.
CREATE TABLE recusals (
    deal TEXT NOT NULL,
    wallet TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (deal, wallet)
) STRICT;

CREATE TABLE due (
    deal TEXT NOT NULL,
    what TEXT NOT NULL,
    instance INTEGER NOT NULL,
    jury INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (deal, what, instance, jury)
) STRICT;
CREATE INDEX due_at ON due (at);

-- outcome: the id of a deal at its escrow, or of the record that paid; about: the record that the credential@1 is about.
CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE,
    outcome TEXT NOT NULL,
    about TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    issuer TEXT NOT NULL,
    audience TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (outcome, kind)
) STRICT;
CREATE INDEX credentials_subject ON credentials (subject, seq);

-- Whose bit is where in which status list.
CREATE TABLE credential_status (
    purpose TEXT NOT NULL,
    list INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    credential TEXT NOT NULL UNIQUE,
    revoked_by TEXT,
    revoked_at INTEGER,
    PRIMARY KEY (purpose, list, entry)
) STRICT;

-- Not what the log says: secrets by their hashes, until they are used or over.
CREATE TABLE credential_offers (
    code_hash TEXT PRIMARY KEY,
    credential TEXT NOT NULL,
    account TEXT NOT NULL,
    session TEXT NOT NULL,
    tx_hash TEXT,
    tries INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX credential_offers_account ON credential_offers (account);
CREATE INDEX credential_offers_expiry ON credential_offers (expires_at);

CREATE TABLE credential_grants (
    token_hash TEXT PRIMARY KEY,
    credential TEXT NOT NULL,
    account TEXT NOT NULL,
    session TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX credential_grants_expiry ON credential_grants (expires_at);

-- What parties signed to have done. A settlement has the same key for both. `author` is the account, `deadline` the Unix second
-- up to which it is tried.
CREATE TABLE acts (
    id TEXT PRIMARY KEY,
    deal TEXT NOT NULL,
    key TEXT NOT NULL,
    party TEXT NOT NULL,
    author TEXT NOT NULL,
    what TEXT NOT NULL,
    deadline INTEGER NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (key, party)
) STRICT;
CREATE INDEX acts_deal ON acts (deal, created_at);
CREATE INDEX acts_author ON acts (author, deadline);

-- Which time-outs the hub is to send for whom.
CREATE TABLE standing (
    deal TEXT NOT NULL,
    time_out TEXT NOT NULL,
    account TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (deal, time_out, account)
) STRICT;

-- Those that are to come.
CREATE TABLE time_outs (
    deal TEXT PRIMARY KEY,
    time_out TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX time_outs_at ON time_outs (at);
