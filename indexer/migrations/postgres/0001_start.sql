-- One row for each chain that was ever followed. `number` stands for it in every other table; the tip is empty until the
-- first step.
CREATE TABLE chains (
    number       BIGINT  NOT NULL PRIMARY KEY,
    chain        TEXT    NOT NULL UNIQUE,
    contracts    TEXT    NOT NULL,
    start_block  BIGINT  NOT NULL,
    tip_number   BIGINT,
    tip_hash     TEXT,
    safe_number  BIGINT,
    safe_hash    TEXT,
    final_number BIGINT,
    final_hash   TEXT,
    updated_at   BIGINT  NOT NULL
);

-- Every block above the final one, the anchor below the first block, and the ends of the ranges read below that.
CREATE TABLE blocks (
    chain     BIGINT  NOT NULL,
    hash      TEXT    NOT NULL,
    number    BIGINT  NOT NULL,
    parent    TEXT    NOT NULL,
    time      BIGINT  NOT NULL,
    canonical BIGINT  NOT NULL,
    PRIMARY KEY (chain, hash)
);
CREATE UNIQUE INDEX blocks_canonical ON blocks (chain, number) WHERE canonical = 1;
CREATE INDEX blocks_number ON blocks (chain, number);

-- The truth: every log of a watched contract as the chain told it. What left the chain stays, with canonical = 0.
-- `number` is its place in this database, `finality` and `told` the newest feed entry about it. The contract's address, hashes
-- and the topics, one behind the other, are as many bytes as they are.
CREATE TABLE logs (
    number           BIGINT  NOT NULL PRIMARY KEY,
    chain            BIGINT  NOT NULL,
    block_number     BIGINT  NOT NULL,
    log_index        BIGINT  NOT NULL,
    canonical        BIGINT  NOT NULL,
    finality         TEXT    NOT NULL,
    told             BIGINT  NOT NULL,
    block_time       BIGINT  NOT NULL,
    block_hash       BYTEA   NOT NULL,
    transaction_hash BYTEA   NOT NULL,
    contract         BYTEA   NOT NULL,
    topics           BYTEA   NOT NULL,
    data             BYTEA   NOT NULL
);
CREATE UNIQUE INDEX logs_canonical ON logs (chain, block_number, log_index) WHERE canonical = 1;
CREATE INDEX logs_unsettled ON logs (chain, block_number, log_index) WHERE canonical = 1 AND finality <> 'final';
CREATE INDEX logs_orphaned ON logs (chain, number) WHERE canonical = 0;

-- What logs are found by. Derived from them, as states are: `reindex` writes both anew. `id` is the event's, `subject` eight
-- bytes of a hash of what it is about (0 for nothing), which more than one may have.
CREATE TABLE events (
    number  BIGINT  NOT NULL PRIMARY KEY,
    id      BYTEA   NOT NULL,
    subject BIGINT  NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_subject ON events (subject, number);

-- `log` is the number of the log; `was` is what was told of it before.
CREATE TABLE feed (
    seq      BIGINT  NOT NULL PRIMARY KEY,
    chain    BIGINT  NOT NULL,
    log      BIGINT  NOT NULL,
    finality TEXT    NOT NULL,
    was      TEXT    NOT NULL,
    told_at  BIGINT  NOT NULL
);
CREATE INDEX feed_chain ON feed (chain, seq);

-- What was taken back of each log, which tells how often it was told.
CREATE INDEX feed_retracted ON feed (log, seq) WHERE finality = 'retracted';

-- Who told the feed: the processes that worked on this database, each from its first entry on. One that told nothing is
-- replaced by the next.
CREATE TABLE runs (
    first BIGINT NOT NULL PRIMARY KEY,
    id    TEXT   NOT NULL
);
INSERT INTO runs (first, id) SELECT 1, '0x' || replace(gen_random_uuid()::text, '-', '');

-- What the canonical events add up to, by subject. `newest` is the number of the newest log about it, `terms` that of the
-- log which holds a deal's terms (0 for the rest), `state` all else. Buyer, seller (eight bytes of the account, which others
-- may have as well) and status are for finding deals, and 0 or empty for the rest.
CREATE TABLE states (
    subject TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    chain   BIGINT  NOT NULL,
    newest  BIGINT  NOT NULL,
    terms   BIGINT  NOT NULL,
    state   TEXT    NOT NULL,
    buyer   BIGINT  NOT NULL,
    seller  BIGINT  NOT NULL,
    status  TEXT    NOT NULL
);
CREATE INDEX states_buyer ON states (buyer, subject);
CREATE INDEX states_seller ON states (seller, subject);
CREATE INDEX states_open ON states (status, subject) WHERE status <> '' AND status <> 'closed';

CREATE TABLE faults (
    chain      BIGINT  NOT NULL,
    kind       TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    raised_at  BIGINT  NOT NULL,
    cleared_at BIGINT,
    PRIMARY KEY (chain, kind, subject)
);
CREATE INDEX faults_open ON faults (raised_at) WHERE cleared_at IS NULL;

-- When events and states were last written anew, in Unix milliseconds; no row where they never were.
CREATE TABLE reindexed (
    at BIGINT NOT NULL
);

-- What is believed of each chain: whether it tells a final block by a tag of its own, up to where it is proven that no log
-- is missing, how many were found missing, and a block that the operator accepts past what was final.
CREATE TABLE trust (
    chain         BIGINT NOT NULL PRIMARY KEY,
    tags          BIGINT NOT NULL,
    proven_number BIGINT,
    proven_hash   TEXT,
    missed        BIGINT NOT NULL,
    accepted      TEXT
);

-- How far the feed was brought to each receiver, by its name in the configuration; `failures` is how many there were in a
-- row, `trouble` what went wrong last.
CREATE TABLE deliveries (
    name       TEXT    NOT NULL PRIMARY KEY,
    cursor     BIGINT  NOT NULL,
    failures   BIGINT  NOT NULL,
    trouble    TEXT    NOT NULL,
    updated_at BIGINT  NOT NULL
);
