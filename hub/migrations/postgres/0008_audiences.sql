-- What lists show to whom: each item of a list, which has the name of its table, by its place in the log, once for every entry of its
-- audience.
CREATE TABLE audiences (
    list TEXT NOT NULL,
    entry TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (list, entry, seq)
);
CREATE INDEX audiences_seq ON audiences (seq);

INSERT INTO audiences (list, entry, seq)
SELECT DISTINCT 'communities', e.value, item.seq
FROM communities AS item CROSS JOIN LATERAL json_array_elements_text(CAST(item.audience AS json)) AS e(value);
INSERT INTO audiences (list, entry, seq)
SELECT DISTINCT 'credentials', e.value, item.seq
FROM credentials AS item CROSS JOIN LATERAL json_array_elements_text(CAST(item.audience AS json)) AS e(value);
INSERT INTO audiences (list, entry, seq)
SELECT DISTINCT 'listings', e.value, item.seq
FROM listings AS item CROSS JOIN LATERAL json_array_elements_text(CAST(item.audience AS json)) AS e(value);
INSERT INTO audiences (list, entry, seq)
SELECT DISTINCT 'pools', CASE s.scope WHEN 'public' THEN s.scope ELSE 'community:' || s.scope END, item.seq
FROM pools AS item JOIN pool_scopes AS s ON s.arbiter = item.arbiter AND s.panel = item.panel;
INSERT INTO audiences (list, entry, seq)
SELECT DISTINCT 'proposals', e.value, item.seq
FROM proposals AS item CROSS JOIN LATERAL json_array_elements_text(CAST(item.audience AS json)) AS e(value)
WHERE item.grievance IS NULL;
-- The list of proposals was found by it.
DROP INDEX proposals_listed;
