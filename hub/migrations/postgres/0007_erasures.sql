-- Which records have no body any more, and by which record.
CREATE TABLE erasures (
    record TEXT PRIMARY KEY,
    erasure TEXT NOT NULL,
    account TEXT NOT NULL,
    erased_at BIGINT NOT NULL
);

-- The record that says it.
ALTER TABLE profiles ADD COLUMN record TEXT;
UPDATE profiles SET record = newest.id FROM log AS newest
    WHERE newest.kind = 'profile@1' AND newest.author = profiles.account
    AND newest.seq IN (SELECT MAX(seq) FROM log WHERE kind = 'profile@1' GROUP BY author);

-- An entry's body goes where a record in the log erases it, and nothing else of an entry ever.
CREATE FUNCTION log_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.seq, NEW.id, NEW.kind, NEW.author, NEW.about, NEW.facts, NEW.received_at, NEW.entropy)
        IS NOT DISTINCT FROM (OLD.seq, OLD.id, OLD.kind, OLD.author, OLD.about, OLD.facts, OLD.received_at, OLD.entropy)
        AND CAST(NEW.record AS jsonb) = jsonb_set(CAST(OLD.record AS jsonb), '{body}', 'null')
        AND EXISTS (SELECT 1 FROM log WHERE about = OLD.id AND kind = 'erasure@1')
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
DROP TRIGGER log_append_only ON log;
CREATE TRIGGER log_append_only BEFORE DELETE OR TRUNCATE ON log
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER log_erased BEFORE UPDATE ON log
    FOR EACH ROW EXECUTE FUNCTION log_erased();
