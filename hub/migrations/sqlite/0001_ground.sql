CREATE TABLE log (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    author TEXT NOT NULL,
    about TEXT,
    record TEXT NOT NULL,
    facts TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    entropy TEXT NOT NULL
) STRICT;
CREATE INDEX log_about ON log (about);
CREATE INDEX log_kind ON log (kind, seq);

CREATE TABLE log_nodes (
    seq INTEGER PRIMARY KEY,
    nodes TEXT NOT NULL
) STRICT;

-- What was entered stays: the database itself refuses to change it or to take it away.
CREATE TRIGGER log_no_update BEFORE UPDATE ON log BEGIN
    SELECT RAISE(ABORT, 'log is append-only');
END;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log BEGIN
    SELECT RAISE(ABORT, 'log is append-only');
END;
CREATE TRIGGER log_nodes_no_update BEFORE UPDATE ON log_nodes BEGIN
    SELECT RAISE(ABORT, 'log_nodes is append-only');
END;
CREATE TRIGGER log_nodes_no_delete BEFORE DELETE ON log_nodes BEGIN
    SELECT RAISE(ABORT, 'log_nodes is append-only');
END;

CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    audience TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE wallets (
    wallet TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT;
CREATE INDEX wallets_account ON wallets (account);

CREATE TABLE devices (
    account TEXT NOT NULL,
    device TEXT NOT NULL,
    wallet TEXT,
    added_at INTEGER NOT NULL,
    revoked_at INTEGER,
    PRIMARY KEY (account, device)
) STRICT;

-- Nonces that have served and not expired.
CREATE TABLE used_nonces (
    nonce TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX used_nonces_expires ON used_nonces (expires_at);

CREATE TABLE recovery_rules (
    account TEXT PRIMARY KEY,
    guardians TEXT NOT NULL,
    threshold INTEGER NOT NULL,
    delay_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE guardians (
    guardian TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (guardian, account)
) STRICT;
CREATE INDEX guardians_account ON guardians (account);

CREATE TABLE recoveries (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    wallet TEXT NOT NULL,
    device TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    approvals TEXT NOT NULL,
    stage TEXT NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT;
CREATE INDEX recoveries_account ON recoveries (account, ends_at);
CREATE INDEX recoveries_open ON recoveries (ends_at, id) WHERE stage IN ('asked', 'waiting');

CREATE TABLE profiles (
    account TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE persons (
    provider TEXT NOT NULL,
    unique_id TEXT NOT NULL,
    account TEXT NOT NULL,
    proven_at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (provider, unique_id)
) STRICT;
CREATE INDEX persons_account ON persons (account, until);

-- Sessions, and API tokens where there is a label.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    device TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    label TEXT,
    scopes TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_device ON sessions (account, device);

-- Answers to requests with an Idempotency-Key, sealed, until they expire. Not what the log says.
CREATE TABLE idempotency_keys (
    key_hash TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    request TEXT NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_account ON idempotency_keys (account);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);

CREATE TABLE communities (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE,
    name TEXT NOT NULL,
    audience TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Numbered from 1 without gaps in each community: who leaves gives their number to the last one.
CREATE TABLE members (
    community TEXT NOT NULL,
    account TEXT NOT NULL,
    role TEXT NOT NULL,
    since INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (community, account)
) STRICT;
CREATE INDEX members_account ON members (account);
CREATE UNIQUE INDEX members_number ON members (community, number);
CREATE INDEX members_since ON members (community, since, account);

-- The record that last changed what an account is in a community; decided is 1 where a vote or a ruling has said whether it belongs.
CREATE TABLE member_words (
    community TEXT NOT NULL,
    account TEXT NOT NULL,
    record TEXT NOT NULL,
    decided INTEGER NOT NULL,
    PRIMARY KEY (community, account)
) STRICT;

-- Memberships that wait for the other side's word: the account's, or that of a steward or a vote.
CREATE TABLE invitations (
    community TEXT NOT NULL,
    account TEXT NOT NULL,
    role TEXT NOT NULL,
    said_by TEXT NOT NULL,
    author TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (community, account)
) STRICT;
CREATE INDEX invitations_account ON invitations (account, since);

CREATE TABLE pools (
    arbiter TEXT NOT NULL,
    panel TEXT NOT NULL,
    seq INTEGER NOT NULL UNIQUE,
    book TEXT NOT NULL,
    parent TEXT NOT NULL,
    worst_case INTEGER NOT NULL,
    members TEXT NOT NULL,
    size INTEGER NOT NULL,
    read_at INTEGER NOT NULL,
    PRIMARY KEY (arbiter, panel)
) STRICT;

CREATE TABLE pool_scopes (
    arbiter TEXT NOT NULL,
    panel TEXT NOT NULL,
    scope TEXT NOT NULL,
    PRIMARY KEY (arbiter, panel, scope)
) STRICT;

-- What votes last said of a pool: whether it is the community's.
CREATE TABLE pool_decisions (
    community TEXT NOT NULL,
    arbiter TEXT NOT NULL,
    panel TEXT NOT NULL,
    serves INTEGER NOT NULL,
    tally TEXT NOT NULL,
    PRIMARY KEY (community, arbiter, panel)
) STRICT;

-- With which wallet of its own whoever belongs to a community may be put on the lists of its pools, one for each chain.
CREATE TABLE candidates (
    community TEXT NOT NULL,
    account TEXT NOT NULL,
    chain TEXT NOT NULL,
    wallet TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (community, account, chain)
) STRICT;

-- The member list that a vote of the community decided last for its pool.
CREATE TABLE pool_lists (
    community TEXT NOT NULL,
    arbiter TEXT NOT NULL,
    panel TEXT NOT NULL,
    proposal TEXT NOT NULL,
    tally TEXT NOT NULL,
    digest TEXT NOT NULL,
    members TEXT NOT NULL,
    size INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    PRIMARY KEY (community, arbiter, panel)
) STRICT;
CREATE INDEX pool_lists_pool ON pool_lists (arbiter, panel);

CREATE TABLE listings (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE,
    revision TEXT NOT NULL,
    seller TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    words TEXT NOT NULL,
    audience TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE listing_tags (
    listing TEXT NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (listing, tag)
) STRICT;
CREATE INDEX listing_tags_tag ON listing_tags (tag, listing);
