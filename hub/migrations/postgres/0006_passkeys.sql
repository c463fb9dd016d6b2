-- The passkeys by whose word devices speak for an account, and the wallet by whose word each stands.
CREATE TABLE passkeys (
    passkey TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    wallet TEXT NOT NULL,
    credential TEXT NOT NULL,
    sign_count BIGINT NOT NULL,
    added_at BIGINT NOT NULL
);
CREATE INDEX passkeys_account ON passkeys (account);

-- Beside its wallet, the passkey whose word for the device was.
ALTER TABLE devices ADD COLUMN passkey TEXT;
