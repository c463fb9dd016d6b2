-- One row: what is followed, and how far.
CREATE TABLE position (
    one          INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    chain        TEXT   NOT NULL,
    contracts    TEXT   NOT NULL,
    start_block  INTEGER NOT NULL,
    tip_number   INTEGER NOT NULL,
    tip_hash     TEXT   NOT NULL,
    safe_number  INTEGER,
    safe_hash    TEXT,
    final_number INTEGER,
    final_hash   TEXT,
    updated_at   INTEGER NOT NULL
) STRICT;

-- Every block above the final one, the anchor below the first block, and the ends of the ranges read below that.
CREATE TABLE blocks (
    hash      TEXT   NOT NULL PRIMARY KEY,
    number    INTEGER NOT NULL,
    parent    TEXT   NOT NULL,
    time      INTEGER NOT NULL,
    canonical INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX blocks_canonical ON blocks (number) WHERE canonical = 1;
CREATE INDEX blocks_number ON blocks (number);

-- Raw log and decoded event. What left the chain stays, with canonical = 0.
CREATE TABLE events (
    id           TEXT   NOT NULL PRIMARY KEY,
    chain        TEXT   NOT NULL,
    block_hash   TEXT   NOT NULL,
    log_index    INTEGER NOT NULL,
    block_number INTEGER NOT NULL,
    block_time   INTEGER NOT NULL,
    transaction_hash TEXT NOT NULL,
    contract     TEXT   NOT NULL,
    topics       TEXT   NOT NULL,
    data         TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    body         TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    canonical    INTEGER NOT NULL,
    finality     TEXT   NOT NULL,
    UNIQUE (chain, block_hash, log_index)
) STRICT;
CREATE UNIQUE INDEX events_canonical ON events (block_number, log_index) WHERE canonical = 1;
CREATE INDEX events_subject ON events (subject, block_number, log_index) WHERE canonical = 1;
CREATE INDEX events_unsettled ON events (block_number, log_index) WHERE canonical = 1 AND finality <> 'final';

CREATE TABLE feed (
    seq      INTEGER NOT NULL PRIMARY KEY,
    event    TEXT   NOT NULL REFERENCES events (id),
    finality TEXT   NOT NULL,
    told_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX feed_event ON feed (event, seq);

-- What the canonical events add up to, by subject. `state` is the whole of it; buyer, seller and status are for finding
-- deals and empty for the rest.
CREATE TABLE states (
    subject TEXT NOT NULL PRIMARY KEY,
    state   TEXT NOT NULL,
    buyer   TEXT NOT NULL,
    seller  TEXT NOT NULL,
    status  TEXT NOT NULL
) STRICT;
CREATE INDEX states_buyer ON states (buyer, subject);
CREATE INDEX states_seller ON states (seller, subject);
CREATE INDEX states_status ON states (status, subject);

CREATE TABLE faults (
    kind       TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    raised_at  INTEGER NOT NULL,
    cleared_at INTEGER,
    PRIMARY KEY (kind, subject)
) STRICT;
CREATE INDEX faults_open ON faults (raised_at) WHERE cleared_at IS NULL;
