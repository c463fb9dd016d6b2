-- Where the relayer is in the indexer's feed (`feed`) and in the hub's list of intents (`intents`). The anchor tells
-- which entry stood at the position, so that a list that was begun anew is noticed.
CREATE TABLE cursor (
    name       TEXT   NOT NULL PRIMARY KEY,
    position   BIGINT NOT NULL,
    anchor     TEXT   NOT NULL,
    restarts   BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);

-- Feed entries that the hub refused, and those of the same lane that wait behind them.
CREATE TABLE refused_entry (
    id          BIGINT NOT NULL PRIMARY KEY,
    seq         BIGINT NOT NULL,
    lane        TEXT   NOT NULL,
    entry       TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    tries       BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    next_ms     BIGINT NOT NULL
);
CREATE INDEX refused_entry_lane ON refused_entry (lane, id);

-- What the hub wants done, once each by business key, and how far it is. `settled` tells the final block as of which it
-- was over, `asked_by` the account in whose name it is done, `time_out` of
-- a time-out the deal and which.
CREATE TABLE intent (
    id               BIGINT NOT NULL PRIMARY KEY,
    key              TEXT   NOT NULL UNIQUE,
    body             TEXT   NOT NULL,
    state            TEXT   NOT NULL,
    reason           TEXT   NOT NULL,
    refused_at_block BIGINT,
    done_by          TEXT,
    received_ms      BIGINT NOT NULL,
    updated_ms       BIGINT NOT NULL,
    settled_block    BIGINT,
    settled_hash     TEXT,
    asked_by         TEXT,
    time_out         TEXT
);
CREATE INDEX intent_settled ON intent (settled_block);
CREATE INDEX intent_state ON intent (state, id);
CREATE INDEX intent_asked_by ON intent (asked_by, state);
CREATE INDEX intent_time_out ON intent (time_out);

-- Every transaction that was ever signed, before it was first sent: the call that an intent asks for, the cancelling of
-- one at its nonce, or the filling of a nonce that nothing else has (of no intent). `signed_block` is the newest block then.
CREATE TABLE attempt (
    hash         TEXT   NOT NULL PRIMARY KEY,
    intent       BIGINT REFERENCES intent (id),
    kind         TEXT   NOT NULL,
    signer       TEXT   NOT NULL,
    nonce        BIGINT NOT NULL,
    raw          TEXT   NOT NULL,
    gas          BIGINT NOT NULL,
    max_fee      TEXT   NOT NULL,
    priority_fee TEXT   NOT NULL,
    outcome      TEXT   NOT NULL,
    signed_ms    BIGINT NOT NULL,
    signed_block BIGINT NOT NULL
);
CREATE INDEX attempt_outcome ON attempt (outcome);
CREATE INDEX attempt_intent ON attempt (intent, nonce);
CREATE INDEX attempt_nonce ON attempt (signer, nonce);

-- How often the right to work was taken: every write checks that it is still its own taking.
CREATE TABLE lease (
    name  TEXT   NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL
);

-- What is still to be told: progress to the hub, pages to the operator.
CREATE TABLE outbox (
    id         BIGINT NOT NULL PRIMARY KEY,
    kind       TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    tries      BIGINT NOT NULL,
    next_ms    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX outbox_next ON outbox (next_ms, id);

-- Intents that this version cannot read, until one comes that can.
CREATE TABLE unread_intent (
    key         TEXT   NOT NULL PRIMARY KEY,
    body        TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    received_ms BIGINT NOT NULL
);

-- What was signed in whose name in the last day (steps of cases: in nobody's), and what it may cost, in billionths of a coin. Of a slot (signer and nonce,
-- or a signature) only one transaction can be in a block.
CREATE TABLE charge (
    slot    TEXT   NOT NULL PRIMARY KEY,
    intent  BIGINT NOT NULL,
    account TEXT   NOT NULL,
    cost    BIGINT NOT NULL,
    at_ms   BIGINT NOT NULL
);
CREATE INDEX charge_account ON charge (account, at_ms);
CREATE INDEX charge_at ON charge (at_ms);
