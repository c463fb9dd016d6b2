-- Where the relayer is in the indexer's feed (`feed`) and in the hub's list of intents (`intents`). The anchor tells
-- which entry stood at the position, so that a list that was begun anew is noticed.
CREATE TABLE cursor (
    name       TEXT   NOT NULL PRIMARY KEY,
    position   INTEGER NOT NULL,
    anchor     TEXT   NOT NULL,
    restarts   INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;

-- Feed entries that the hub refused, and those of the same lane that wait behind them.
CREATE TABLE refused_entry (
    id          INTEGER NOT NULL PRIMARY KEY,
    seq         INTEGER NOT NULL,
    lane        TEXT   NOT NULL,
    entry       TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    tries       INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    next_ms     INTEGER NOT NULL
) STRICT;
CREATE INDEX refused_entry_lane ON refused_entry (lane, id);

-- What the hub wants done, once each by business key, and how far it is. `settled` tells the final block as of which it
-- was over, `asked_by` the account in whose name it is done, `time_out` of
-- a time-out the deal and which.
CREATE TABLE intent (
    id               INTEGER NOT NULL PRIMARY KEY,
    key              TEXT   NOT NULL UNIQUE,
    body             TEXT   NOT NULL,
    state            TEXT   NOT NULL,
    reason           TEXT   NOT NULL,
    refused_at_block INTEGER,
    done_by          TEXT,
    received_ms      INTEGER NOT NULL,
    updated_ms       INTEGER NOT NULL,
    settled_block    INTEGER,
    settled_hash     TEXT,
    asked_by         TEXT,
    time_out         TEXT
) STRICT;
CREATE INDEX intent_settled ON intent (settled_block);
CREATE INDEX intent_state ON intent (state, id);
CREATE INDEX intent_asked_by ON intent (asked_by, state);
CREATE INDEX intent_time_out ON intent (time_out);

-- Every transaction that was ever signed, before it was first sent: the call that an intent asks for, the cancelling of
-- one at its nonce, or the filling of a nonce that nothing else has (of no intent). `signed_block` is the newest block then.
CREATE TABLE attempt (
    hash         TEXT   NOT NULL PRIMARY KEY,
    intent       INTEGER REFERENCES intent (id),
    kind         TEXT   NOT NULL,
    signer       TEXT   NOT NULL,
    nonce        INTEGER NOT NULL,
    raw          TEXT   NOT NULL,
    gas          INTEGER NOT NULL,
    max_fee      TEXT   NOT NULL,
    priority_fee TEXT   NOT NULL,
    outcome      TEXT   NOT NULL,
    signed_ms    INTEGER NOT NULL,
    signed_block INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_outcome ON attempt (outcome);
CREATE INDEX attempt_intent ON attempt (intent, nonce);
CREATE INDEX attempt_nonce ON attempt (signer, nonce);

-- How often the right to work was taken: every write checks that it is still its own taking.
CREATE TABLE lease (
    name  TEXT   NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL
) STRICT;

-- What is still to be told: progress to the hub, pages to the operator.
CREATE TABLE outbox (
    id         INTEGER NOT NULL PRIMARY KEY,
    kind       TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    tries      INTEGER NOT NULL,
    next_ms    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_next ON outbox (next_ms, id);

-- Intents that this version cannot read, until one comes that can.
CREATE TABLE unread_intent (
    key         TEXT   NOT NULL PRIMARY KEY,
    body        TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    received_ms INTEGER NOT NULL
) STRICT;

-- What was signed in whose name in the last day (steps of cases: in nobody's), and what it may cost, in billionths of a coin. Of a slot (signer and nonce,
-- or a signature) only one transaction can be in a block.
CREATE TABLE charge (
    slot    TEXT   NOT NULL PRIMARY KEY,
    intent  INTEGER NOT NULL,
    account TEXT   NOT NULL,
    cost    INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX charge_account ON charge (account, at_ms);
CREATE INDEX charge_at ON charge (at_ms);
