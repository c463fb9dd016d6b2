// Writes vectors.json: fixed inputs, extreme ones included, each with what ethers.js makes of it.
import { writeFileSync } from 'node:fs';
import { OUTPUTS, dealOutputs } from './typed-data.mjs';

const MAX40 = String(2n ** 40n - 1n);
const MAX88 = String(2n ** 88n - 1n);
const MAX256 = String(2n ** 256n - 1n);
const bytes32 = (byte) => `0x${byte.repeat(32)}`;
const address = (byte) => `0x${byte.repeat(20)}`;
const ZERO = bytes32('00');
const FULL = bytes32('ff');

const HOME = 'eip155:31337';
const FAR = 'eip155:18446744073709551615';

const plain = {
  escrow: `${HOME}:${address('ee')}`,
  buyer: `${HOME}:${address('01')}`,
  seller: `${HOME}:${address('02')}`,
  arbiter: `${HOME}:${address('03')}`,
  asset: `${HOME}/erc20:${address('04')}`,
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
const coin = { ...plain, asset: `${HOME}/slip44:60`, metered: true, salt: ZERO };
const least = {
  ...plain, amount: '1', fund_by: '0', deliver_by: '1', inspection: 1, ruling: 1, lapse_share: 0, panel: ZERO, agreement: ZERO,
  salt: ZERO,
};
const most = {
  escrow: `${FAR}:${address('fe')}`,
  buyer: `${FAR}:${address('ff')}`,
  seller: `${FAR}:${address('fd')}`,
  arbiter: `${FAR}:${address('fc')}`,
  asset: `${FAR}/erc20:${address('fb')}`,
  amount: MAX88,
  fund_by: MAX40,
  deliver_by: MAX40,
  inspection: 4294967295,
  ruling: 4294967295,
  lapse_share: 65535,
  metered: true,
  panel: FULL,
  agreement: FULL,
  salt: FULL,
};

const deals = [plain, coin, least, most].map((terms) => ({ terms }));
const { deal } = dealOutputs({ terms: plain });

const KEY = `0x${'0'.repeat(63)}1`;
const OTHER = `0x${'7'.repeat(64)}`;
const here = { contract: plain.escrow, key: KEY };
const there = { contract: most.escrow, key: OTHER };
const messages = [
  { ...here, type: 'Fund', value: { deal, validUntil: '1800000000' } },
  { ...there, type: 'Fund', value: { deal: FULL, validUntil: MAX40 } },
  { ...here, type: 'Deliver', value: { deal, delivery: bytes32('0d'), validUntil: '1800000000' } },
  { ...there, type: 'Deliver', value: { deal: FULL, delivery: ZERO, validUntil: '0' } },
  { ...here, type: 'Release', value: { deal, total: '750000000' } },
  { ...there, type: 'Release', value: { deal: FULL, total: MAX88 } },
  { ...here, type: 'Refund', value: { deal, total: '750000000' } },
  { ...there, type: 'Refund', value: { deal: FULL, total: '0' } },
  { ...here, type: 'Dispute', value: { deal, evidence: bytes32('0e'), validUntil: '1800000000' } },
  { ...there, type: 'Dispute', value: { deal: FULL, evidence: FULL, validUntil: MAX40 } },
  { ...here, type: 'Evidence', value: { deal, evidence: bytes32('0f'), uri: 'ipfs://evidence', validUntil: '1800000000' } },
  { ...here, type: 'Evidence', value: { deal, evidence: ZERO, uri: '', validUntil: '0' } },
  { ...there, type: 'Evidence', value: { deal: FULL, evidence: FULL, uri: 'ü€𝄞'.repeat(28), validUntil: MAX40 } },
  { ...here, type: 'Settle', value: { deal, sellerTotal: '1', status: 1, rulings: 0, validUntil: '1800000000' } },
  { ...there, type: 'Settle', value: { deal: FULL, sellerTotal: MAX88, status: 3, rulings: 255, validUntil: MAX40 } },
  {
    ...here,
    type: 'Withdraw',
    value: {
      creditor: address('01'), asset: address('00'), amount: '1', to: address('05'), nonce: '0', validUntil: '1800000000',
    },
  },
  {
    ...there,
    type: 'Withdraw',
    value: {
      creditor: address('ff'), asset: address('fb'), amount: MAX256, to: address('fa'), nonce: MAX256, validUntil: MAX40,
    },
  },
  { ...here, contract: plain.arbiter, type: 'Ballot', value: { caseId: bytes32('1a'), share: 4500, reason: bytes32('1b') } },
  { ...there, contract: most.arbiter, type: 'Ballot', value: { caseId: FULL, share: 10000, reason: ZERO } },
  { ...here, contract: plain.arbiter, type: 'Appeal', value: { deal, validUntil: '1800000000' } },
  { ...there, contract: most.arbiter, type: 'Appeal', value: { deal: FULL, validUntil: MAX40 } },
];

const book = {
  keeper: address('08'), parent: ZERO, jury_size: 5, delay: 86400, opening: 3600, voting: 604800, appeal: 0, salt: bytes32('1c'),
};
const pools = [
  { book },
  { book: { ...book, jury_size: 1, delay: 0, opening: 60, voting: 1, salt: ZERO } },
  {
    book: {
      keeper: address('ff'), parent: FULL, jury_size: 255, delay: 4294967295, opening: 4294967295, voting: 4294967295,
      appeal: 4294967295, salt: FULL,
    },
  },
];

const cases = [
  { pool: bytes32('1d'), escrow: address('ee'), deal, instance: 0, jury: 0, seed: bytes32('1e') },
  { pool: FULL, escrow: address('ff'), deal: FULL, instance: 255, jury: 255, seed: FULL },
  { pool: ZERO, escrow: address('00'), deal: ZERO, instance: 1, jury: 0, seed: ZERO },
];

const draws = [
  { block_hash: bytes32('1f'), deal, instance: 0, jury: 0, members: 4, passed_over: [], jury_size: 1 },
  { block_hash: bytes32('20'), deal, instance: 0, jury: 0, members: 12, passed_over: [3, 7], jury_size: 5 },
  { block_hash: FULL, deal: FULL, instance: 1, jury: 1, members: 64, passed_over: [1, 64], jury_size: 31 },
  { block_hash: ZERO, deal: ZERO, instance: 0, jury: 0, members: 1200, passed_over: [], jury_size: 31 },
];

const events = [
  { chain: HOME, block_hash: bytes32('21'), log_index: '0' },
  { chain: FAR, block_hash: FULL, log_index: '18446744073709551615' },
];

const vectors = Object.fromEntries(
  Object.entries({ deals, messages, pools, cases, draws, events }).map(([list, inputs]) => [
    list,
    inputs.map((input) => ({ ...input, expected: OUTPUTS[list](input) })),
  ]),
);
writeFileSync(new URL('vectors.json', import.meta.url), `${JSON.stringify(vectors, null, 2)}\n`);
