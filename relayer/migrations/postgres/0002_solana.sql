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
-- Of those that are over there are ever more: an index by outcome alone would find all of them.
CREATE INDEX solana_attempt_open ON solana_attempt (outcome) WHERE outcome = 'open';
CREATE INDEX solana_attempt_final ON solana_attempt (signed_ms DESC, signature) WHERE outcome IN ('succeeded', 'reverted');
