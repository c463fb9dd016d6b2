-- Who says again with which wallet they stand stands since the first time. So since the earliest word that nothing has undone: no later
-- one of theirs, and no leaving of the community. A record may have a wallet in other letters than this table.
UPDATE candidates SET since = COALESCE((
    SELECT MIN(l.received_at) FROM log AS l JOIN members AS m ON m.community = l.about AND m.account = l.author
    WHERE l.kind = 'candidacy@1' AND l.about = candidates.community AND l.author = candidates.account
    AND l.received_at >= m.since
    AND LOWER(l.record ->> '$.body.wallet') = LOWER(candidates.wallet)
    AND l.record ->> '$.body.stands' = 1
    AND NOT EXISTS (
        SELECT 1 FROM log AS b
        WHERE b.kind = 'candidacy@1' AND b.about = l.about AND b.author = l.author AND b.seq > l.seq
        AND SUBSTR(b.record ->> '$.body.wallet', 1, LENGTH(candidates.chain) + 1) = candidates.chain || ':'
        AND (LOWER(b.record ->> '$.body.wallet') = LOWER(candidates.wallet))
            <> (b.record ->> '$.body.stands' = 1)
    )
), since);
