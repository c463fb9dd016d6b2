-- Every transaction that was ever signed for Solana, before it was first sent.
CREATE TABLE solana_attempt (
    signature         TEXT   NOT NULL PRIMARY KEY,
    intent            BIGINT NOT NULL REFERENCES intent (id),
    signer            TEXT   NOT NULL,
    raw               TEXT   NOT NULL,
    blockhash         TEXT   NOT NULL,
    last_valid_height BIGINT NOT NULL,
    units             BIGINT NOT NULL,
    unit_price        BIGINT NOT NULL,
    fee               BIGINT NOT NULL,
    outcome           TEXT   NOT NULL,
    signed_ms         BIGINT NOT NULL
);
CREATE INDEX solana_attempt_intent ON solana_attempt (intent);
CREATE INDEX solana_attempt_outcome ON solana_attempt (outcome);
