-- Which records have no body any more, and by which record.
CREATE TABLE erasures (
    record TEXT PRIMARY KEY,
    erasure TEXT NOT NULL,
    account TEXT NOT NULL,
    erased_at INTEGER NOT NULL
) STRICT;

-- The record that says it.
ALTER TABLE profiles ADD COLUMN record TEXT;
UPDATE profiles SET record = newest.id FROM log AS newest
    WHERE newest.kind = 'profile@1' AND newest.author = profiles.account
    AND newest.seq IN (SELECT MAX(seq) FROM log WHERE kind = 'profile@1' GROUP BY author);

-- An entry's body goes where a record in the log erases it, and nothing else of an entry ever.
DROP TRIGGER log_no_update;
CREATE TRIGGER log_no_update BEFORE UPDATE ON log
WHEN NEW.seq IS NOT OLD.seq OR NEW.id IS NOT OLD.id OR NEW.kind IS NOT OLD.kind OR NEW.author IS NOT OLD.author
    OR NEW.about IS NOT OLD.about OR NEW.facts IS NOT OLD.facts OR NEW.received_at IS NOT OLD.received_at
    OR NEW.entropy IS NOT OLD.entropy OR NEW.record IS NOT json_set(OLD.record, '$.body', json('null'))
    OR NOT EXISTS (SELECT 1 FROM log WHERE about = OLD.id AND kind = 'erasure@1')
BEGIN
    SELECT RAISE(ABORT, 'log is append-only');
END;
