-- What each event is, and whose word where a party shows something: who asks for some of a deal's events reads no others.
ALTER TABLE chain_events ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE chain_events ADD COLUMN party TEXT NOT NULL DEFAULT '';
UPDATE chain_events SET name = CAST(body AS json) -> 'body' ->> 'name';
UPDATE chain_events SET party = CAST(CAST(body AS json) -> 'body' -> 'by' AS TEXT) WHERE name IN ('Disputed', 'Evidence');
DROP INDEX chain_events_deal;
CREATE INDEX chain_events_deal ON chain_events (deal, finality, seq);
CREATE INDEX chain_events_name ON chain_events (deal, name, party, seq);

-- Whether final events of the deal wait for one that is missing.
ALTER TABLE purchases ADD COLUMN waits BIGINT NOT NULL DEFAULT 0;
-- Every final event that was taken is counted where the deal stands, modulo 256: where there are others, they wait.
UPDATE purchases SET waits = 1 WHERE (
    SELECT COUNT(*) FROM chain_events AS e WHERE e.deal = purchases.deal AND e.finality = 'final' AND e.name IN (
        'Funded', 'Delivered', 'Released', 'Refunded', 'Disputed', 'Evidence', 'Reclaimed', 'Claimed', 'Settled', 'Ruled', 'Lapsed'
    )
) % 256 <> CAST(CAST(position AS json) ->> 'count' AS BIGINT);
