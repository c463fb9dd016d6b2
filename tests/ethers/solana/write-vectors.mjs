// Writes vectors.json: fixed inputs, extreme ones included, each with what docs/solana.md makes of it.
import { writeFileSync } from 'node:fs';
import { addresses, base58, caseId, digest, eventId, line, poolId, sign } from './lines.mjs';

const home = { cluster: 'solana:EarnestLoca1Net11111111111111111', program: 'Earnest111111111111111111111111111111111111' };
const bytes32 = (byte) => `0x${byte.repeat(32)}`;
const pubkey = (byte) => base58(new Uint8Array(32).fill(Number(`0x${byte}`)));
const [ZERO, FULL] = [bytes32('00'), bytes32('ff')];
const MAX64 = String(2n ** 64n - 1n);
const SECRET = `0x${'07'.repeat(32)}`;
const account = (byte) => `${home.cluster}:${pubkey(byte)}`;

const plain = {
  escrow: `${home.cluster}:${home.program}`,
  buyer: account('01'),
  seller: account('02'),
  arbiter: `${home.cluster}:${addresses.arbiter(home.program)}`,
  asset: `${home.cluster}/token:${pubkey('04')}`,
  amount: '1500000000',
  fund_by: '1800000000',
  deliver_by: '1800600000',
  inspection: 259200,
  ruling: 1209600,
  lapse_share: 5000,
  metered: false,
  panel: bytes32('0a'),
  agreement: bytes32('0b'),
  salt: bytes32('0c'),
};
const coin = { ...plain, asset: `${home.cluster}/slip44:501`, metered: true, salt: ZERO };
const most = {
  ...plain, buyer: account('ff'), seller: account('fe'), arbiter: account('fd'), asset: `${home.cluster}/token:${pubkey('00').slice(1)}2`,
  amount: MAX64, fund_by: MAX64, deliver_by: MAX64, inspection: 4294967295, ruling: 4294967295, lapse_share: 65535, metered: true,
  panel: FULL, agreement: FULL, salt: FULL,
};

const deals = [plain, coin, most].map((terms) => ({ terms, expected: { deal: digest(home, 'terms', terms) } }));
const deal = deals[0].expected.deal;
const messages = [
  ['fund', { deal, valid_until: '1800000000' }],
  ['deliver', { deal, delivery: bytes32('21'), valid_until: MAX64 }],
  ['release', { deal, total: MAX64 }],
  ['refund', { deal, total: '1' }],
  ['dispute', { deal, evidence: bytes32('22'), valid_until: '0' }],
  ['evidence', { deal, evidence: bytes32('23'), uri: 'https://example.org/ä', valid_until: '1' }],
  ['settle', { deal, seller_total: '500', status: 3, rulings: 2, valid_until: '1800000001' }],
  ['withdraw', { deal, creditor: pubkey('02'), amount: '7', to: pubkey('05'), withdrawals: 4294967295, valid_until: '9' }],
  ['ballot', { case: bytes32('24'), share: 10000, reason: ZERO }],
  ['appeal', { deal, valid_until: '1800000000' }],
].map(([name, fields]) => {
  const of = digest(home, name, fields);
  const text = line(name, of);
  return { name, fields, expected: { digest: of, line: text, ...sign(SECRET, text) } };
});
const terms = line('terms', deal);
messages.push({ name: 'terms', fields: { deal }, expected: { digest: deal, line: terms, ...sign(SECRET, terms) } });

const book = {
  keeper: pubkey('31'), parent: ZERO, jury_size: 3, delay: 0, opening: 60, voting: 1, appeal: 0, salt: bytes32('32'),
};
const books = [book, { ...book, parent: FULL, jury_size: 31, delay: 4294967295, appeal: 4294967295, salt: FULL }];
const pools = books.map((one) => ({ book: one, expected: poolId(one) }));
const pool = pools[0].expected;
const cases = [
  { pool, deal, instance: 0, jury: 0, seed: bytes32('41') },
  { pool: FULL, deal, instance: 1, jury: 1, seed: FULL },
].map((one) => ({ ...one, expected: caseId(home.program, one) }));
const events = [
  { signature: `0x${'51'.repeat(64)}`, instruction: 0, inner: 0 },
  { signature: `0x${'ff'.repeat(64)}`, instruction: 3, inner: 65535 },
].map((one) => ({ ...one, expected: eventId(one) }));
const places = [
  ['deal', { deal }], ['vault', { deal }], ['jury', { deal, ordinal: 0 }], ['jury', { deal, ordinal: 3 }], ['pool', { pool }],
  ['list', { pool, index: 0 }], ['list', { pool, index: 4294967295 }], ['consent', { signer: pubkey('02'), digest: deal }],
  ['arbiter', {}], ['allowance', {}],
].map(([name, of]) => ({ name, of, expected: addresses[name](home.program, of) }));

const vectors = { home, deals, messages, pools, cases, events, places };
writeFileSync(new URL('vectors.json', import.meta.url), `${JSON.stringify(vectors, null, 2)}\n`);
