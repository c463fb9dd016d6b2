-- Every transaction that was ever signed for Solana, before it was first sent.
CREATE TABLE solana_attempt (
    signature         TEXT   NOT NULL PRIMARY KEY,
    intent            INTEGER NOT NULL REFERENCES intent (id),
    signer            TEXT   NOT NULL,
    raw               TEXT   NOT NULL,
    blockhash         TEXT   NOT NULL,
    last_valid_height INTEGER NOT NULL,
    units             INTEGER NOT NULL,
    unit_price        INTEGER NOT NULL,
    fee               INTEGER NOT NULL,
    outcome           TEXT   NOT NULL,
    signed_ms         INTEGER NOT NULL
) STRICT;
CREATE INDEX solana_attempt_intent ON solana_attempt (intent);
-- Of those that are over there are ever more: an index by outcome alone would find all of them.
CREATE INDEX solana_attempt_open ON solana_attempt (outcome) WHERE outcome = 'open';
CREATE INDEX solana_attempt_final ON solana_attempt (signed_ms DESC, signature) WHERE outcome IN ('succeeded', 'reverted');
