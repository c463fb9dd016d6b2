CREATE TABLE purchases (
    id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
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
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX purchases_buyer ON purchases (buyer, seq);
CREATE INDEX purchases_seller ON purchases (seller, seq);

-- What the hub holds of each event about one of its deals; `seq` is the record's place in the log that told it last, `undone`
-- whether a record says that it left the chain although it was final.
CREATE TABLE chain_events (
    event TEXT PRIMARY KEY,
    deal TEXT NOT NULL,
    finality TEXT NOT NULL,
    seq BIGINT NOT NULL,
    body TEXT NOT NULL,
    undone BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX chain_events_deal ON chain_events (deal);
CREATE INDEX chain_events_unsettled ON chain_events (seq) WHERE finality IN ('seen', 'safe');

-- How far a relayer has brought each chain's feed, and how many of its deliveries something was kept of. No record says it: it
-- stands for what the log has.
CREATE TABLE brought (
    chain TEXT PRIMARY KEY,
    deliveries BIGINT NOT NULL,
    feed TEXT NOT NULL,
    seq BIGINT NOT NULL
);

CREATE TABLE intents (
    seq BIGINT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    deal TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE intent_progress (
    key TEXT PRIMARY KEY,
    progress TEXT NOT NULL,
    reported_at BIGINT NOT NULL
);

CREATE TABLE cases (
    deal TEXT PRIMARY KEY,
    purchase TEXT NOT NULL,
    body TEXT NOT NULL,
    disputed_at BIGINT NOT NULL
);

CREATE TABLE seats (
    deal TEXT NOT NULL,
    instance BIGINT NOT NULL,
    jury BIGINT NOT NULL,
    seat BIGINT NOT NULL,
    wallet TEXT NOT NULL,
    PRIMARY KEY (deal, instance, jury, seat)
);
CREATE INDEX seats_wallet ON seats (wallet);

CREATE TABLE evidence (
    id TEXT PRIMARY KEY,
    deal TEXT NOT NULL,
    author TEXT NOT NULL,
    hash TEXT NOT NULL,
    uri TEXT NOT NULL,
    note TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX evidence_deal ON evidence (deal, created_at);

CREATE TABLE ballots (
    deal TEXT NOT NULL,
    instance BIGINT NOT NULL,
    jury BIGINT NOT NULL,
    seat BIGINT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    handed_in BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (deal, instance, jury, seat)
);

-- Jurors' wallets that have stepped aside in the case of a deal, and by which record.
CREATE TABLE recusals (
    deal TEXT NOT NULL,
    wallet TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (deal, wallet)
);

CREATE TABLE due (
    deal TEXT NOT NULL,
    what TEXT NOT NULL,
    instance BIGINT NOT NULL,
    jury BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (deal, what, instance, jury)
);
CREATE INDEX due_at ON due (at);

-- outcome: the id of a deal at its escrow, or of the record that paid; about: the record that the credential@1 is about.
CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
    outcome TEXT NOT NULL,
    about TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    issuer TEXT NOT NULL,
    audience TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (outcome, kind)
);
CREATE INDEX credentials_subject ON credentials (subject, seq);

-- Whose bit is where in which status list.
CREATE TABLE credential_status (
    purpose TEXT NOT NULL,
    list BIGINT NOT NULL,
    entry BIGINT NOT NULL,
    credential TEXT NOT NULL UNIQUE,
    revoked_by TEXT,
    revoked_at BIGINT,
    PRIMARY KEY (purpose, list, entry)
);

-- Not what the log says: secrets by their hashes, until they are used or over.
CREATE TABLE credential_offers (
    code_hash TEXT PRIMARY KEY,
    credential TEXT NOT NULL,
    account TEXT NOT NULL,
    session TEXT NOT NULL,
    tx_hash TEXT,
    tries BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX credential_offers_account ON credential_offers (account);
CREATE INDEX credential_offers_expiry ON credential_offers (expires_at);

CREATE TABLE credential_grants (
    token_hash TEXT PRIMARY KEY,
    credential TEXT NOT NULL,
    account TEXT NOT NULL,
    session TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
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
    deadline BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (key, party)
);
CREATE INDEX acts_deal ON acts (deal, created_at);
CREATE INDEX acts_author ON acts (author, deadline);

-- Which time-outs the hub is to send for whom.
CREATE TABLE standing (
    deal TEXT NOT NULL,
    time_out TEXT NOT NULL,
    account TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (deal, time_out, account)
);

-- Those that are to come.
CREATE TABLE time_outs (
    deal TEXT PRIMARY KEY,
    time_out TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX time_outs_at ON time_outs (at);
