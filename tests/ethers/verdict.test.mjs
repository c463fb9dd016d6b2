// verdict.mjs on bundles whose ballots are signed here. tests/end-to-end gives it those of real markets.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { SigningKey, TypedDataEncoder, ZeroHash, computeAddress } from 'ethers';
import { canonical } from './records.mjs';
import { caseId, digest, line, sign } from './solana/lines.mjs';
import { TYPES, caseOutputs, dealOutputs, domainOf } from './typed-data.mjs';
import { bounds, verdict } from './verdict.mjs';

const vectors = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8')).deals[0].terms;
const sha256 = (text) => `0x${createHash('sha256').update(text).digest('hex')}`;
const SECRETS = [1, 2, 3].map((number) => `0x${`0${number}`.repeat(32)}`);
const [POOL, SEED] = [`0x${'0a'.repeat(32)}`, `0x${'5e'.repeat(12)}${'00'.repeat(20)}`];
const addressOf = (account) => account.slice(account.lastIndexOf(':') + 1);
const home = ({ escrow }) => ({ cluster: escrow.slice(0, escrow.lastIndexOf(':')), program: addressOf(escrow) });

const CHAINS = {
  eip155: {
    terms: vectors('vectors.json'),
    deal: (terms) => dealOutputs({ terms }).deal,
    case: (terms, of) => caseOutputs({ ...of, escrow: addressOf(terms.escrow) }).case_id,
    juror: (secret) => computeAddress(new SigningKey(secret).publicKey).toLowerCase(),
    sign: (terms, value, secret) =>
      new SigningKey(secret).sign(TypedDataEncoder.hash(domainOf('Ballot', terms.arbiter), TYPES.Ballot, value)).serialized,
  },
  solana: {
    terms: vectors('solana/vectors.json'),
    deal: (terms) => digest(home(terms), 'terms', terms),
    case: (terms, of) => caseId(addressOf(terms.escrow), of),
    juror: (secret) => sign(secret, '').signer,
    sign: (terms, { caseId: id, share, reason }, secret) =>
      sign(secret, line('ballot', digest(home(terms), 'ballot', { case: id, share, reason }))).signature,
  },
};

const word = (shares) => shares.reduce((all, share, seat) => all | (share === null ? 0n : BigInt(share / 500 + 1) << BigInt(5 * seat)), 0n);
const hex = (number) => `0x${number.toString(16).padStart(64, '0')}`;

/** A disputed deal of 1,001 with one jury of three: its bundle, as far as the verdict reads it. */
function disputed(chain, shares, { ruling, counted = shares, paid, lapseShare = 5000, escrow } = {}) {
  const agreement = { title: 'A "bicycle"', amount: 1, also: ['ü', null, true] };
  const terms = { ...chain.terms, amount: '1001', lapse_share: lapseShare, agreement: sha256(canonical(agreement)) };
  const deal = chain.deal(terms);
  const of = { pool: POOL, deal, instance: 0, jury: 0, seed: SEED };
  const records = [{ id: 'zP', type: 'purchase@1', body: { terms, agreement } }];
  let seq = 0;
  const event = (contract, body) => {
    seq += 1;
    const at = { block_number: '7', log_index: `${seq}`, transaction: `transaction ${seq}` };
    records.push({ id: `zE${seq}`, type: 'chain-event@1', body: { seq: `${seq}`, finality: 'final', event: { contract, ...at, body } } });
  };
  const pools = (name, body) => event(terms.arbiter, { name, deal, escrow: escrow ?? addressOf(terms.escrow), instance: 0, jury: 0, ...body });
  pools('JuryDrawn', { pool: POOL, seed: SEED, seats: SECRETS.map(chain.juror) });
  shares.forEach((share, seat) => {
    if (share === null) return;
    const reason = seat === 0 ? 'The chain broke at once.' : '';
    const value = { caseId: chain.case(terms, of), share, reason: reason === '' ? ZeroHash : sha256(reason) };
    const body = { jury: 0, seat, share, reason, signature: chain.sign(terms, value, SECRETS[seat]) };
    records.push({ id: `zB${seat}`, type: 'ballot@1', body });
  });
  const [seller, buyer] = paid;
  pools('RulingAccepted', { ballots: hex(word(counted)), share: ruling, executable_at: '0' });
  event(terms.escrow, { name: 'Ruled', deal, share: ruling, released: `${seller}`, refunded: `${buyer}` });
  return { records };
}

for (const [name, chain] of Object.entries(CHAINS)) {
  test(`${name}: three ballots make the ruling that was paid`, () => {
    const found = verdict(disputed(chain, [2500, 10_000, 0], { ruling: 2500, paid: [250, 751] }));
    assert.deepEqual(found.faults, []);
    assert.deepEqual([found.share, found.seller, found.buyer, found.ruled], [2500, '250', '751', 'transaction 3']);
    assert.deepEqual(found.rulings, [{ instance: 0, jury: 0, share: 2500, by: 'ballots' }]);
    assert.deepEqual(found.juries[0].seats.map(({ share, by }) => [share, by]), [[2500, 'signature'], [10_000, 'signature'], [0, 'signature']]);
  });

  test(`${name}: a ballot that says anything else than was signed is nobody's`, () => {
    const good = disputed(chain, [0, 0, 10_000], { ruling: 0, paid: [0, 1001] });
    const at = good.records.findIndex(({ type }) => type === 'ballot@1');
    const { body } = good.records[at];
    for (const change of [{ share: 10_000 }, { seat: 1 }, { seat: 9 }, { reason: 'Other' }, { jury: 1 }, { signature: '0x' }, { share: 1 }]) {
      const records = good.records.with(at, { ...good.records[at], body: { ...body, ...change } });
      assert.deepEqual(verdict({ records }).faults, [`ballot zB0: not signed by the wallet of seat ${change.seat ?? 0}`], JSON.stringify(change));
    }
  });

  test(`${name}: a ruling, a payment, an agreement or a count that is not the ballots' is found`, () => {
    const faults = (shares, more) => verdict(disputed(chain, shares, more)).faults;
    assert.match(faults([0, 0, 0], { ruling: 10_000, paid: [1001, 0] }).join(), /come to 0, the ruling is 10000/);
    assert.match(faults([0, 0, 0], { ruling: 0, paid: [1, 1000] }).join(), /the escrow paid 1 and 1000/);
    assert.match(faults([0, 0, 0], { ruling: 0, counted: [500, 0, 0], paid: [0, 1001] }).join(), /seat 0: signed 0, the chain counted 500/);
    const other = disputed(chain, [0, 0, 0], { ruling: 0, paid: [0, 1001] });
    other.records[0].body.agreement.title = 'A car';
    assert.match(verdict(other).faults.join(), /agreement/);
  });

  test(`${name}: two ballots that agree are enough, one leaves the last word to the chain's count`, () => {
    const two = verdict(disputed(chain, [500, null, 500], { ruling: 500, paid: [50, 951] }));
    assert.deepEqual([two.rulings[0].by, two.faults], ['ballots', []]);
    const one = verdict(disputed(chain, [500, null, null], { ruling: 5000, paid: [500, 501] }));
    assert.deepEqual([one.share, one.rulings[0].by, one.faults], [5000, "the last word, by the chain's count", []]);
    const missing = verdict(disputed(chain, [500, null, null], { ruling: 500, counted: [500, null, 500], paid: [50, 951] }));
    assert.deepEqual([missing.rulings[0].by, missing.faults], ["the chain's count, for signatures are missing", []]);
    const moved = verdict(disputed(chain, [0, 1000, null], { ruling: 1000, paid: [100, 901] }));
    assert.deepEqual([moved.share, moved.faults], [1000, []], 'the lapse share moved into what two ballots leave');
  });

  test(`${name}: with other terms, or what another escrow's case says, there is no verdict`, () => {
    const other = disputed(chain, [0, 0, 0], { ruling: 0, paid: [0, 1001] });
    other.records[0].body.terms.amount = '1002';
    const none = verdict(other);
    assert.deepEqual([none.rulings, none.share, none.holds], [[], null, false]);
    const escrow = chain.juror(SECRETS[0]);
    assert.deepEqual(verdict(disputed(chain, [0, 0, 0], { ruling: 0, paid: [0, 1001], escrow })).rulings, []);
  });
}

test('bounds are those of rule 4', () => {
  assert.deepEqual(bounds([0, 500, undefined]), { lo: 0, hi: 500 });
  assert.deepEqual(bounds([undefined, 'void', 500]), { lo: 0, hi: 10_000 });
  assert.deepEqual(bounds([10_000, 0, 500]), { lo: 500, hi: 500 });
});
