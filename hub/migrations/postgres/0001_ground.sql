CREATE TABLE log (
    seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    author TEXT NOT NULL,
    about TEXT,
    record TEXT NOT NULL,
    facts TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    entropy TEXT NOT NULL
);
CREATE INDEX log_about ON log (about);
CREATE INDEX log_kind ON log (kind, seq);

CREATE TABLE log_nodes (
    seq BIGINT PRIMARY KEY,
    nodes TEXT NOT NULL
);

-- What was entered stays: the database itself refuses to change it or to take it away.
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER log_nodes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log_nodes
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE TABLE outbox (
    seq BIGINT PRIMARY KEY,
    topic TEXT NOT NULL,
    audience TEXT NOT NULL,
    data TEXT NOT NULL
);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE wallets (
    wallet TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    added_at BIGINT NOT NULL
);
CREATE INDEX wallets_account ON wallets (account);

CREATE TABLE devices (
    account TEXT NOT NULL,
    device TEXT NOT NULL,
    wallet TEXT,
    added_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (account, device)
);

-- Nonces that have served and not expired.
CREATE TABLE used_nonces (
    nonce TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX used_nonces_expires ON used_nonces (expires_at);

CREATE TABLE recovery_rules (
    account TEXT PRIMARY KEY,
    guardians TEXT NOT NULL,
    threshold BIGINT NOT NULL,
    delay_ms BIGINT NOT NULL
);

CREATE TABLE guardians (
    guardian TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (guardian, account)
);
CREATE INDEX guardians_account ON guardians (account);

CREATE TABLE recoveries (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    wallet TEXT NOT NULL,
    device TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    approvals TEXT NOT NULL,
    stage TEXT NOT NULL,
    ends_at BIGINT NOT NULL
);
CREATE INDEX recoveries_account ON recoveries (account, ends_at);
CREATE INDEX recoveries_open ON recoveries (ends_at, id) WHERE stage IN ('asked', 'waiting');

CREATE TABLE profiles (
    account TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE persons (
    provider TEXT NOT NULL,
    unique_id TEXT NOT NULL,
    account TEXT NOT NULL,
    proven_at BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (provider, unique_id)
);
CREATE INDEX persons_account ON persons (account, until);

-- Sessions, and API tokens where there is a label.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    device TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    label TEXT,
    scopes TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_device ON sessions (account, device);

-- Answers to requests with an Idempotency-Key, sealed, until they expire. Not what the log says.
CREATE TABLE idempotency_keys (
    key_hash TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    request TEXT NOT NULL,
    status BIGINT NOT NULL,
    answer TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX idempotency_keys_account ON idempotency_keys (account);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);

CREATE TABLE communities (
    id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    audience TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Numbered from 1 without gaps in each community: who leaves gives their number to the last one.
CREATE TABLE members (
    community TEXT NOT NULL,
    account TEXT NOT NULL,
    role TEXT NOT NULL,
    since BIGINT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (community, account)
);
CREATE INDEX members_account ON members (account);
CREATE UNIQUE INDEX members_number ON members (community, number);
CREATE INDEX members_since ON members (community, since, account);

-- The record that last changed what an account is in a community; decided is 1 where a vote or a ruling has said whether it belongs.
CREATE TABLE member_words (
    community TEXT NOT NULL,
    account TEXT NOT NULL,
    record TEXT NOT NULL,
    decided BIGINT NOT NULL,
    PRIMARY KEY (community, account)
);

-- Memberships that wait for the other side's word: the account's, or that of a steward or a vote.
CREATE TABLE invitations (
    community TEXT NOT NULL,
    account TEXT NOT NULL,
    role TEXT NOT NULL,
    said_by TEXT NOT NULL,
    author TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (community, account)
);
CREATE INDEX invitations_account ON invitations (account, since);

CREATE TABLE pools (
    arbiter TEXT NOT NULL,
    panel TEXT NOT NULL,
    seq BIGINT NOT NULL UNIQUE,
    book TEXT NOT NULL,
    parent TEXT NOT NULL,
    worst_case BIGINT NOT NULL,
    members TEXT NOT NULL,
    size BIGINT NOT NULL,
    read_at BIGINT NOT NULL,
    PRIMARY KEY (arbiter, panel)
);

CREATE TABLE pool_scopes (
    arbiter TEXT NOT NULL,
    panel TEXT NOT NULL,
    scope TEXT NOT NULL,
    PRIMARY KEY (arbiter, panel, scope)
);

-- What votes last said of a pool: whether it is the community's.
CREATE TABLE pool_decisions (
    community TEXT NOT NULL,
    arbiter TEXT NOT NULL,
    panel TEXT NOT NULL,
    serves BIGINT NOT NULL,
    tally TEXT NOT NULL,
    PRIMARY KEY (community, arbiter, panel)
);

-- With which wallet of its own whoever belongs to a community may be put on the lists of its pools, one for each chain.
CREATE TABLE candidates (
    community TEXT NOT NULL,
    account TEXT NOT NULL,
    chain TEXT NOT NULL,
    wallet TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (community, account, chain)
);

-- The member list that a vote of the community decided last for its pool.
CREATE TABLE pool_lists (
    community TEXT NOT NULL,
    arbiter TEXT NOT NULL,
    panel TEXT NOT NULL,
    proposal TEXT NOT NULL,
    tally TEXT NOT NULL,
    digest TEXT NOT NULL,
    members TEXT NOT NULL,
    size BIGINT NOT NULL,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (community, arbiter, panel)
);
CREATE INDEX pool_lists_pool ON pool_lists (arbiter, panel);

CREATE TABLE listings (
    id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
    revision TEXT NOT NULL,
    seller TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    words TEXT NOT NULL,
    audience TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE listing_tags (
    listing TEXT NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (listing, tag)
);
CREATE INDEX listing_tags_tag ON listing_tags (tag, listing);
