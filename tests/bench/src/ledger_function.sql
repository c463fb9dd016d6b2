-- What somebody would write who posts transfers inside PostgreSQL: the same tables, columns and checks as the ledger's, one call
-- for a batch.
CREATE FUNCTION bench_amount(amount NUMERIC) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN amount < 0 THEN '-' ELSE '+' END || lpad(abs(amount)::TEXT, 38, '0')
$$;

CREATE FUNCTION bench_post(
    ids TEXT[], digests TEXT[], payers TEXT[], payees TEXT[], holders TEXT[], amounts BIGINT[], moment BIGINT
) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    zero CONSTANT TEXT := bench_amount(0);
    lowest NUMERIC;
    known BIGINT;
    moved NUMERIC;
    number BIGINT;
    left_over TEXT;
BEGIN
    SELECT count(*) INTO known FROM ledger_operations o JOIN unnest(ids, digests) AS n (id, digest) ON n.id = o.id
        WHERE o.digest = n.digest;
    IF known = array_length(ids, 1) THEN
        RETURN 0;
    END IF;
    INSERT INTO ledger_accounts (id, asset, holder, version, balance, earned, spent, held, incoming)
        SELECT n.id, 'time_credit', n.holder, 0, zero, zero, zero, zero, zero
        FROM (SELECT DISTINCT id, holder FROM unnest(payers || payees, holders) AS u (id, holder) ORDER BY id) AS n
        ON CONFLICT (id) DO NOTHING;
    PERFORM 1 FROM ledger_accounts WHERE id = ANY (payers || payees) ORDER BY id FOR UPDATE;
    SELECT -CAST(rules::JSON ->> 'credit_limit' AS NUMERIC) INTO lowest FROM ledger_assets WHERE asset = 'time_credit';
    INSERT INTO ledger_operations (id, digest) SELECT * FROM unnest(ids, digests);
    FOR i IN 1 .. array_length(ids, 1) LOOP
        moved := amounts[i];
        UPDATE ledger_accounts SET version = version + 1, balance = bench_amount(balance::NUMERIC - moved),
                spent = bench_amount(spent::NUMERIC + moved)
            WHERE id = payers[i] AND balance::NUMERIC - held::NUMERIC - moved >= COALESCE(floor::NUMERIC, lowest)
            RETURNING version, balance INTO number, left_over;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'below the floor: %', payers[i];
        END IF;
        INSERT INTO ledger_entries (account, version, operation, kind, amount, balance, other, at)
            VALUES (payers[i], number, ids[i], 'exchange_debit', bench_amount(-moved), left_over, payees[i], moment);
        UPDATE ledger_accounts SET version = version + 1, balance = bench_amount(balance::NUMERIC + moved),
                earned = bench_amount(earned::NUMERIC + moved)
            WHERE id = payees[i] AND (ceiling IS NULL OR balance::NUMERIC + incoming::NUMERIC + moved <= ceiling::NUMERIC)
            RETURNING version, balance INTO number, left_over;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'above the ceiling: %', payees[i];
        END IF;
        INSERT INTO ledger_entries (account, version, operation, kind, amount, balance, other, at)
            VALUES (payees[i], number, ids[i], 'exchange_credit', bench_amount(moved), left_over, payers[i], moment);
    END LOOP;
    RETURN array_length(ids, 1);
END
$$;
