// grievance.mjs on files of a hub of the product, as its command line has printed them (samples/grievances): each holds, and no part of one can be
// changed. That hub's clock was moved on, and its key is 09…09, so that here it can be made to lie. The hub's own tests give it theirs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { counted, outcomeOf, resultOf, ruleOf, takes } from './ballots.mjs';
import { offered, verdict } from './grievance.mjs';
import { base58, bytesOf, canonical, included, sha256 } from './records.mjs';

const HUB = 'did:key:z6MkwVDfCg9LbbY6xjH3EZk8YSFQZujV5Y4y1ZWeER9tDiN3';
const KEY = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 9)]), format: 'der', type: 'pkcs8',
});
const NAMES = ['ruled', 'revoked', 'settled'];
const sample = (name) => JSON.parse(readFileSync(new URL(`samples/grievances/${name}.json`, import.meta.url), 'utf8'));

/** What this hub says in the place of what it said. */
function signed({ proof, ...said }) {
  const { proofValue, ...options } = proof;
  const signature = sign(null, Buffer.concat([sha256(canonical(options)), sha256(canonical(said))]), KEY);
  return { ...said, proof: { ...options, proofValue: base58(signature) } };
}

/** A file whose order the hub has signed anew, after a change. */
function lie(name, change) {
  const bundle = sample(name);
  change(bundle.log.grievance, bundle);
  return verdict({ ...bundle, log: signed(bundle.log) }, HUB);
}

/** A file that a hub makes without one of the records. */
function without(name, at) {
  const bundle = sample(name);
  bundle.records.splice(at, 1);
  bundle.log_proof.paths.splice(at, 1);
  bundle.log.entries.splice(at, 1);
  return verdict({ ...bundle, log: signed(bundle.log) }, HUB);
}

/** Where every value of a document is. */
function* places(value, path = []) {
  if (path.length > 0) yield path;
  if (value !== null && typeof value === 'object') {
    for (const name of Object.keys(value)) yield* places(value[name], [...path, name]);
  }
}

function changed(value) {
  if (typeof value === 'number') return value + 1;
  if (typeof value !== 'string' || value === '') return 'x';
  const at = Math.floor(value.length / 2);
  return `${value.slice(0, at)}${value[at] === 'a' ? 'b' : 'a'}${value.slice(at + 1)}`;
}

test('what was ruled, settled and taken back comes out', () => {
  const found = Object.fromEntries(NAMES.map((name) => [name, verdict(sample(name), HUB)]));
  for (const name of NAMES) assert.deepEqual([name, found[name].faults, found[name].by], [name, [], 'its records']);
  const { ruled, revoked, settled } = found;
  assert.deepEqual([ruled.ending, ruled.outcome], ['ruled', { partial_adjustment: { amount: '500' } }]);
  assert.deepEqual(ruled.gives_back, { from: ruled.respondent, to: ruled.complainant, asset: 'time_credit', amount: '500' });
  const [jury] = ruled.juries;
  assert.deepEqual(jury.draws.map(({ places: of, lots, jurors }) => [of, lots, jurors.length]), [[5, 6, 5], [1, 1, 1]]);
  assert.deepEqual(jury.ballots.map(({ choice }) => choice), [{ number: '10000' }, { number: '2500' }, { number: '0' }, 'abstain']);
  assert.deepEqual(ruled.credentials.map(({ kind, revoked: gone }) => [kind, gone]), [['SkillProviderCredential', true], ['DisputeLostCredential', false]]);
  // A juror may not read what was paid.
  const judged = without('ruled', 0);
  assert.match(judged.open.join(), /that this was paid/);
  assert.deepEqual([judged.faults, judged.outcome, judged.juries], [[], ruled.outcome, ruled.juries]);
  assert.deepEqual([revoked.outcome, revoked.juries.map(({ result }) => result.verdict)], ['upheld', ['quorum_missed', 'accepted']]);
  assert.deepEqual([revoked.gives_back, revoked.credentials[0].revoked], [null, true]);
  assert.deepEqual([settled.ending, settled.gives_back.amount, settled.juries], ['settled', '75', []]);
});

for (const name of NAMES) {
  test(`${name}: whatever is changed or missing is found`, () => {
    const good = sample(name);
    const open = verdict(good, HUB).open.length;
    for (const path of places(good)) {
      for (const change of ['changed', 'missing']) {
        const bad = structuredClone(good);
        const last = path.at(-1);
        const holder = path.slice(0, -1).reduce((value, step) => value[step], bad);
        const value = holder[last];
        if (change === 'changed' && value !== null && typeof value === 'object') continue;
        if (change === 'changed') holder[last] = changed(value);
        else if (Array.isArray(holder)) holder.splice(Number(last), 1);
        else delete holder[last];
        const found = verdict(bad, HUB);
        // Of a list that is not there nothing is known.
        const told = path[0] === 'status_lists' && path.length === 2 && change === 'missing' ? found.open.length > open : !found.holds;
        assert.ok(told, `${change}: /${path.join('/')}`);
      }
    }
    const stranger = good.records.find(({ device }) => device !== HUB).device;
    assert.match(verdict(good, stranger).faults.join(), /not signed by/);
  });
}

test('a hub that lies about what its records say is found', () => {
  const because = (change, expected, name = 'ruled') => assert.match(lie(name, change).faults[0] ?? 'none', expected);
  assert.deepEqual(lie('ruled', () => {}).faults, []);
  because((says) => { says.outcome = 'rejected'; }, /^resolution: /);
  because((says) => { says.outcome.partial_adjustment.amount = '501'; }, /^resolution: /);
  because((says) => { says.ending = 'settled'; }, /^resolution: /);
  because((says) => { says.at = '2026-11-28T01:33:11.12Z'; }, /^resolution: /);
  because((says) => { says.paid.amount = '1'; }, /^paid: /);
  because((says) => { says.paid = null; }, /^paid: /);
  because((says) => { says.draws[0].entropy = `0x${'0'.repeat(64)}`; }, /^grievance@1 .*lots are not the first 5 of 6/);
  because((says) => { says.draws[0].jurors.reverse(); }, /lots are not the first/);
  because((says) => { says.draws[0].lots.push(says.draws[0].lots[0]); }, /ascending/);
  because((says) => { says.draws[0].places = 4; }, /lots are not the first 4/);
  because((says) => { says.draws[1].places = 2; }, /may be for 1/);
  because((says) => { says.draws[0].members = '5'; }, /of 5 members 5 are offered/);
  because((says) => { says.draws[1].seq = '31'; }, /^grievance-step@1 .*calls for a draw/);
  because((says) => { says.draws.pop(); }, /^grievance-step@1 .*calls for a draw/);
  because((says) => { says.draws.push(structuredClone(says.draws[0])); }, /nothing calls for the draw/);
  because((says) => {
    const [draw] = says.draws;
    const lot = (juror) => `0x${sha256(Buffer.from(draw.entropy.slice(2), 'hex'), juror).toString('hex')}`;
    Object.assign(draw, { places: 1, jurors: [says.paid.payee], lots: [lot(says.paid.payee)] });
  }, /has a part in the grievance/);
  because((says) => { says.outcome = 'void_transaction'; }, /^resolution: /, 'settled');
  because((says) => { says.outcome = 'rejected'; }, /^resolution: /, 'revoked');
  // The hub's word on who has lost goes with what the jury has ruled.
  const { faults } = lie('ruled', (says) => { says.outcome = 'void_transaction'; });
  assert.match(faults.at(-1), /^credential@1 .*ruled otherwise/);
});

test('a record that is left out is missed where it decides anything', () => {
  const expected = {
    'grievance@1': /no grievance|about/,
    'grievance-timeout@1': /^proposal@1 .*no jury is asked/,
    'proposal@1': /about|no vote that is open/,
    'tally@1': /^resolution|no jury is asked|calls for/,
    'vote@1': /^tally@1 /,
  };
  for (const name of ['ruled', 'revoked']) {
    sample(name).records.forEach((record, at) => {
      const [step] = Object.keys(record.body.step ?? {});
      const { faults } = without(name, at);
      const decides = expected[record.type] ?? (step === 'conflict' || record.body.step === 'take' || record.body.step === 'community_wide' ? /./ : undefined);
      if (decides) assert.match(faults[0] ?? 'none', decides, `${name}: ${record.type}`);
      // What took a credential back, what was paid, evidence: the file says less, or its list says so.
      else assert.doesNotMatch(faults.join(), /resolution|tally|draw/, `${name}: ${record.type}`);
    });
  }
  assert.match(without('settled', sample('settled').records.length - 1).faults.join(), /^resolution: by its records the grievance is proposed/);
});

test('ballots are counted by the rules of the docs', () => {
  const ballots = (...choices) => choices.map((choice, at) => ({ juror: `z${at}`, choice, record: `r${at}` }));
  const median = ruleOf('reversal');
  const number = (value) => ({ number: `${value}` });
  const ruled = (remedy, paid, electors, ...choices) => outcomeOf(remedy, paid, resultOf(electors, ruleOf(remedy), ballots(...choices)));
  assert.equal(ruled('reversal', 10n, 5, number(0), number(1)), undefined, 'a quorum of a half');
  assert.equal(ruled('reversal', 10n, 4, 'abstain', 'abstain'), undefined, 'nobody took a side');
  assert.equal(ruled('reversal', 10n, 0), undefined);
  assert.equal(ruled('reversal', 10n, 2, number(0), number(9)), 'rejected', 'the lower middle one');
  assert.deepEqual(ruled('reversal', 10n, 1, number(1)), { partial_adjustment: { amount: '1' } }, 'rounded up');
  assert.equal(ruled('reversal', 10n, 3, number(10_000), number(9_001), 'abstain'), 'void_transaction');
  assert.deepEqual(ruled('reversal', 10n ** 38n - 1n, 1, number(5_000)), { partial_adjustment: { amount: `${10n ** 38n / 2n}` } });
  assert.deepEqual(['yes', 'no'].map((last) => ruled('statement', undefined, 3, 'yes', last)), ['upheld', 'rejected']);
  assert.equal(ruled('statement', undefined, 4, 'no', 'abstain'), 'rejected');
  assert.deepEqual([number(10_001), number(-1), 'yes'].map((choice) => takes(median, choice)), [false, false, false]);
  const twice = [...ballots('yes', 'no'), { juror: 'z0', choice: 'no', record: 'r2' }];
  assert.deepEqual(counted(twice).map(({ record }) => record), ['r1', 'r2']);
  assert.deepEqual([offered(Buffer.alloc(32), 500n), offered(Buffer.alloc(32), 501n), offered(Buffer.alloc(32), 7n)], [500, 500, 7]);
});

test('names and places are those of the standards', () => {
  for (const hex of ['', '00', '0000ff', '1220aa']) {
    const text = base58(Buffer.from(hex, 'hex'));
    if (hex !== '') assert.equal(bytesOf(text, 'it').toString('hex'), hex);
  }
  for (const text of ['z0', 'zl', '1', 'z', 'u1']) assert.throws(() => bytesOf(text, 'it'));
  // A tree of three: RFC 9162, section 2.1.5, as far as it goes.
  const entries = ['1', '2', '3'].map((seq) => ({ id: `z${seq}`, received: '2026-11-21T10:00:00Z', seq }));
  const [one, two, three] = entries.map(({ id, received, seq }) => sha256(Buffer.of(0), canonical({ id, received, seq })));
  const node = (left, right) => sha256(Buffer.of(1), left, right);
  const hex = (hash) => `0x${hash.toString('hex')}`;
  const head = { size: '3', root: hex(node(node(one, two), three)) };
  const paths = [[hex(two), hex(three)], [hex(one), hex(three)], [hex(node(one, two))]];
  entries.forEach((entry, at) => assert.ok(included(entry, head, paths[at])));
  assert.ok(!included(entries[0], head, paths[1]) && !included(entries[2], head, []) && !included({ ...entries[0], seq: '4' }, head, paths[0]));
  assert.ok(!included(entries[0], head, [...paths[0], hex(one)]));
});

test('it ends with 0, 3 and 1', () => {
  const folder = mkdtempSync(join(tmpdir(), 'grievance-'));
  try {
    const ends = (bundle, ...more) => {
      const file = join(folder, 'bundle.json');
      writeFileSync(file, JSON.stringify(bundle));
      return spawnSync(process.execPath, [fileURLToPath(new URL('grievance.mjs', import.meta.url)), file, ...more]).status;
    };
    const good = sample('settled');
    assert.equal(ends(good, HUB), 0);
    assert.equal(ends(good), 1);
    assert.equal(ends({ ...good, records: [] }, HUB), 3);
    assert.equal(ends({ ...good, log: {} }, HUB), 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
