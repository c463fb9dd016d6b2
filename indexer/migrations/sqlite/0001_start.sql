-- One row for each chain that was ever followed. `number` stands for it in every other table; the tip is empty until the
-- first step.
CREATE TABLE chains (
    number       INTEGER NOT NULL PRIMARY KEY,
    chain        TEXT    NOT NULL UNIQUE,
    contracts    TEXT    NOT NULL,
    start_block  INTEGER NOT NULL,
    tip_number   INTEGER,
    tip_hash     TEXT,
    safe_number  INTEGER,
    safe_hash    TEXT,
    final_number INTEGER,
    final_hash   TEXT,
    updated_at   INTEGER NOT NULL
) STRICT;

-- Every block above the final one, the anchor below the first block, and the ends of the ranges read below that.
CREATE TABLE blocks (
    chain     INTEGER NOT NULL,
    hash      TEXT    NOT NULL,
    number    INTEGER NOT NULL,
    parent    TEXT    NOT NULL,
    time      INTEGER NOT NULL,
    canonical INTEGER NOT NULL,
    PRIMARY KEY (chain, hash)
) STRICT;
CREATE UNIQUE INDEX blocks_canonical ON blocks (chain, number) WHERE canonical = 1;
CREATE INDEX blocks_number ON blocks (chain, number);

-- The truth: every log of a watched contract as the chain told it. What left the chain stays, with canonical = 0.
-- `number` is its place in this database, `finality` and `told` the newest feed entry about it. The contract's address, hashes
-- and the topics, one behind the other, are as many bytes as they are.
CREATE TABLE logs (
    number           INTEGER NOT NULL PRIMARY KEY,
    chain            INTEGER NOT NULL,
    block_number     INTEGER NOT NULL,
    log_index        INTEGER NOT NULL,
    canonical        INTEGER NOT NULL,
    finality         TEXT    NOT NULL,
    told             INTEGER NOT NULL,
    block_time       INTEGER NOT NULL,
    block_hash       BLOB    NOT NULL,
    transaction_hash BLOB    NOT NULL,
    contract         BLOB    NOT NULL,
    topics           BLOB    NOT NULL,
    data             BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX logs_canonical ON logs (chain, block_number, log_index) WHERE canonical = 1;
CREATE INDEX logs_unsettled ON logs (chain, block_number, log_index) WHERE canonical = 1 AND finality <> 'final';
CREATE INDEX logs_orphaned ON logs (chain, number) WHERE canonical = 0;

-- What logs are found by. Derived from them, as states are: `reindex` writes both anew. `id` is the event's, `subject` eight
-- bytes of a hash of what it is about (0 for nothing), which more than one may have.
CREATE TABLE events (
    number  INTEGER NOT NULL PRIMARY KEY,
    id      BLOB    NOT NULL,
    subject INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_subject ON events (subject, number);

-- `log` is the number of the log; `was` is what was told of it before.
CREATE TABLE feed (
    seq      INTEGER NOT NULL PRIMARY KEY,
    chain    INTEGER NOT NULL,
    log      INTEGER NOT NULL,
    finality TEXT    NOT NULL,
    was      TEXT    NOT NULL,
    told_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX feed_chain ON feed (chain, seq);

-- What was taken back of each log, which tells how often it was told.
CREATE INDEX feed_retracted ON feed (log, seq) WHERE finality = 'retracted';

-- Who told the feed: the processes that worked on this database, each from its first entry on. One that told nothing is
-- replaced by the next.
CREATE TABLE runs (
    first INTEGER NOT NULL PRIMARY KEY,
    id    TEXT   NOT NULL
) STRICT;
INSERT INTO runs (first, id) SELECT 1, '0x' || lower(hex(randomblob(16)));

-- What the canonical events add up to, by subject. `newest` is the number of the newest log about it, `terms` that of the
-- log which holds a deal's terms (0 for the rest), `state` all else. Buyer, seller (eight bytes of the account, which others
-- may have as well) and status are for finding deals, and 0 or empty for the rest.
CREATE TABLE states (
    subject TEXT    NOT NULL PRIMARY KEY,
    chain   INTEGER NOT NULL,
    newest  INTEGER NOT NULL,
    terms   INTEGER NOT NULL,
    state   TEXT    NOT NULL,
    buyer   INTEGER NOT NULL,
    seller  INTEGER NOT NULL,
    status  TEXT    NOT NULL
) STRICT;
CREATE INDEX states_buyer ON states (buyer, subject);
CREATE INDEX states_seller ON states (seller, subject);
CREATE INDEX states_open ON states (status, subject) WHERE status <> '' AND status <> 'closed';

CREATE TABLE faults (
    chain      INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    raised_at  INTEGER NOT NULL,
    cleared_at INTEGER,
    PRIMARY KEY (chain, kind, subject)
) STRICT;
CREATE INDEX faults_open ON faults (raised_at) WHERE cleared_at IS NULL;

-- When events and states were last written anew, in Unix milliseconds; no row where they never were.
CREATE TABLE reindexed (
    at INTEGER NOT NULL
) STRICT;

-- What is believed of each chain: whether it tells a final block by a tag of its own, up to where it is proven that no log
-- is missing, how many were found missing, and a block that the operator accepts past what was final.
CREATE TABLE trust (
    chain         INTEGER NOT NULL PRIMARY KEY,
    tags          INTEGER NOT NULL,
    proven_number INTEGER,
    proven_hash   TEXT,
    missed        INTEGER NOT NULL,
    accepted      TEXT
) STRICT;

-- How far the feed was brought to each receiver, by its name in the configuration; `failures` is how many there were in a
-- row, `trouble` what went wrong last.
CREATE TABLE deliveries (
    name       TEXT    NOT NULL PRIMARY KEY,
    cursor     INTEGER NOT NULL,
    failures   INTEGER NOT NULL,
    trouble    TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
