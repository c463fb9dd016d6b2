-- One row: what is followed, and how far.
CREATE TABLE position (
    one          BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    chain        TEXT   NOT NULL,
    contracts    TEXT   NOT NULL,
    start_block  BIGINT NOT NULL,
    tip_number   BIGINT NOT NULL,
    tip_hash     TEXT   NOT NULL,
    safe_number  BIGINT,
    safe_hash    TEXT,
    final_number BIGINT,
    final_hash   TEXT,
    updated_at   BIGINT NOT NULL
);

-- Every block above the final one, the anchor below the first block, and the ends of the ranges read below that.
CREATE TABLE blocks (
    hash      TEXT   NOT NULL PRIMARY KEY,
    number    BIGINT NOT NULL,
    parent    TEXT   NOT NULL,
    time      BIGINT NOT NULL,
    canonical BIGINT NOT NULL
);
CREATE UNIQUE INDEX blocks_canonical ON blocks (number) WHERE canonical = 1;
CREATE INDEX blocks_number ON blocks (number);

-- Raw log and decoded event. What left the chain stays, with canonical = 0.
CREATE TABLE events (
    id           TEXT   NOT NULL PRIMARY KEY,
    chain        TEXT   NOT NULL,
    block_hash   TEXT   NOT NULL,
    log_index    BIGINT NOT NULL,
    block_number BIGINT NOT NULL,
    block_time   BIGINT NOT NULL,
    transaction_hash TEXT NOT NULL,
    contract     TEXT   NOT NULL,
    topics       TEXT   NOT NULL,
    data         TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    body         TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    canonical    BIGINT NOT NULL,
    finality     TEXT   NOT NULL,
    UNIQUE (chain, block_hash, log_index)
);
CREATE UNIQUE INDEX events_canonical ON events (block_number, log_index) WHERE canonical = 1;
CREATE INDEX events_subject ON events (subject, block_number, log_index) WHERE canonical = 1;
CREATE INDEX events_unsettled ON events (block_number, log_index) WHERE canonical = 1 AND finality <> 'final';

CREATE TABLE feed (
    seq      BIGINT NOT NULL PRIMARY KEY,
    event    TEXT   NOT NULL REFERENCES events (id),
    finality TEXT   NOT NULL,
    told_at  BIGINT NOT NULL
);
CREATE INDEX feed_event ON feed (event, seq);

-- What the canonical events add up to, by subject. `state` is the whole of it; buyer, seller and status are for finding
-- deals and empty for the rest.
CREATE TABLE states (
    subject TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    state   TEXT NOT NULL,
    buyer   TEXT NOT NULL,
    seller  TEXT NOT NULL,
    status  TEXT NOT NULL
);
CREATE INDEX states_buyer ON states (buyer, subject);
CREATE INDEX states_seller ON states (seller, subject);
CREATE INDEX states_status ON states (status, subject);

CREATE TABLE faults (
    kind       TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    raised_at  BIGINT NOT NULL,
    cleared_at BIGINT,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX faults_open ON faults (raised_at) WHERE cleared_at IS NULL;
