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

-- What the hub wants done, once each by business key, and how far it is.
CREATE TABLE intent (
    id               INTEGER NOT NULL PRIMARY KEY,
    key              TEXT   NOT NULL UNIQUE,
    body             TEXT   NOT NULL,
    state            TEXT   NOT NULL,
    reason           TEXT   NOT NULL,
    refused_at_block INTEGER,
    done_by          TEXT,
    received_ms      INTEGER NOT NULL,
    updated_ms       INTEGER NOT NULL
) STRICT;
CREATE INDEX intent_state ON intent (state, id);

-- Every transaction that was ever signed, before it was first sent.
CREATE TABLE attempt (
    hash         TEXT   NOT NULL PRIMARY KEY,
    intent       INTEGER NOT NULL REFERENCES intent (id),
    signer       TEXT   NOT NULL,
    nonce        INTEGER NOT NULL,
    raw          TEXT   NOT NULL,
    gas          INTEGER NOT NULL,
    max_fee      TEXT   NOT NULL,
    priority_fee TEXT   NOT NULL,
    outcome      TEXT   NOT NULL,
    signed_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_intent ON attempt (intent, nonce);
CREATE INDEX attempt_nonce ON attempt (signer, nonce);

-- The one process that may use a signer, and the next nonce it will use.
CREATE TABLE signer (
    address    TEXT   NOT NULL PRIMARY KEY,
    next_nonce INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    until_ms   INTEGER NOT NULL
) STRICT;
