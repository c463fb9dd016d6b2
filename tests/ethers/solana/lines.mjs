// What the program on Solana hashes, what wallets sign and where its accounts lie, from docs/solana.md alone.
import { ed25519 } from '@noble/curves/ed25519';
import { concat, decodeBase58, encodeBase58, getBytes, hexlify, keccak256, sha256, toBeHex, toUtf8Bytes } from 'ethers';

/** 32 bytes of a base58 key. Leading zeros are lost in a number, so the length is given back. */
export const key = (text) => getBytes(toBeHex(decodeBase58(text), 32));

/** base58 of 32 or 64 bytes: a leading "1" for every leading zero byte. */
export function base58(bytes) {
  const zeros = [...bytes].findIndex((byte) => byte !== 0);
  const leading = zeros < 0 ? bytes.length : zeros;
  const rest = zeros < 0 ? '' : encodeBase58(bytes.slice(leading));
  return '1'.repeat(leading) + rest;
}

const little = (width) => (number) => {
  const bytes = getBytes(toBeHex(BigInt(number), width));
  return bytes.reverse();
};
const u8 = little(1);
const u16 = little(2);
const u32 = little(4);
const u64 = little(8);
const hash = (value) => getBytes(value);
const word = (number) => getBytes(toBeHex(BigInt(number), 32));
const last = (account) => account.slice(account.lastIndexOf(':') + 1);

/** The rows of the table in docs/solana.md: words of the line, and the fields of the digest. */
export const SIGNED = {
  terms: ['Earnest: sell on the terms ', (t) => [
    key(last(t.buyer)), key(last(t.seller)), key(last(t.arbiter)),
    t.asset.includes('/token:') ? key(last(t.asset)) : new Uint8Array(32),
    u64(t.amount), u64(t.fund_by), u64(t.deliver_by), u32(t.inspection), u32(t.ruling), u16(t.lapse_share), u8(t.metered ? 1 : 0),
    hash(t.panel), hash(t.agreement), hash(t.salt),
  ]],
  fund: ['Earnest: pay into the deal ', (m) => [hash(m.deal), u64(m.valid_until)]],
  deliver: ['Earnest: say it is delivered ', (m) => [hash(m.deal), hash(m.delivery), u64(m.valid_until)]],
  release: ['Earnest: release to the seller ', (m) => [hash(m.deal), u64(m.total)]],
  refund: ['Earnest: refund to the buyer ', (m) => [hash(m.deal), u64(m.total)]],
  dispute: ['Earnest: dispute ', (m) => [hash(m.deal), hash(m.evidence), u64(m.valid_until)]],
  evidence: ['Earnest: add evidence ', (m) => [hash(m.deal), hash(m.evidence), hash(keccak256(toUtf8Bytes(m.uri))), u64(m.valid_until)]],
  settle: ['Earnest: settle ', (m) => [hash(m.deal), u64(m.seller_total), u8(m.status), u8(m.rulings), u64(m.valid_until)]],
  withdraw: ['Earnest: withdraw credit ', (m) => [
    hash(m.deal), key(m.creditor), u64(m.amount), key(m.to), u32(m.withdrawals), u64(m.valid_until),
  ]],
  ballot: ['Earnest: vote as a juror ', (m) => [hash(m.case), u16(m.share), hash(m.reason)]],
  appeal: ['Earnest: appeal ', (m) => [hash(m.deal), u64(m.valid_until)]],
};

/** The digest of something signed, on a cluster and by a program. */
export const digest = ({ cluster, program }, name, fields) =>
  keccak256(concat([toUtf8Bytes('earnest'), toUtf8Bytes(cluster), key(program), toUtf8Bytes(name), ...SIGNED[name][1](fields)]));

/** The line that a wallet signs. */
export const line = (name, of) => SIGNED[name][0] + of.slice(2);

const isOnCurve = (bytes) => {
  try {
    ed25519.ExtendedPoint.fromHex(bytes);
    return true;
  } catch {
    return false;
  }
};

/** The address that a program derives from seeds: the first that no key can have, bumps counted down from 255. */
export function derived(program, seeds) {
  for (let bump = 255; bump >= 0; bump -= 1) {
    const address = getBytes(sha256(concat([...seeds, u8(bump), key(program), toUtf8Bytes('ProgramDerivedAddress')])));
    if (!isOnCurve(address)) return base58(address);
  }
  throw new Error('no such address');
}

const text = toUtf8Bytes;
/** The addresses of docs/solana.md. */
export const addresses = {
  deal: (program, { deal }) => derived(program, [text('deal'), hash(deal)]),
  vault: (program, { deal }) => derived(program, [text('vault'), hash(deal)]),
  jury: (program, { deal, ordinal }) => derived(program, [text('jury'), hash(deal), u8(ordinal)]),
  pool: (program, { pool }) => derived(program, [text('pool'), hash(pool)]),
  list: (program, { pool, index }) => derived(program, [text('list'), hash(pool), u32(index)]),
  consent: (program, { signer, digest: of }) => derived(program, [text('consent'), key(signer), hash(of)]),
  arbiter: (program) => derived(program, [text('arbiter')]),
  allowance: (program) => derived(program, [text('allowance')]),
};

/** A pool's id. */
export const poolId = (book) => keccak256(concat([
  key(book.keeper), hash(book.parent), word(book.jury_size), word(book.delay), word(book.opening), word(book.voting), word(book.appeal),
  hash(book.salt),
]));

/** A case's id. */
export const caseId = (program, { pool, deal, instance, jury, seed }) =>
  keccak256(concat([hash(pool), key(program), hash(deal), word(instance), word(jury), hash(seed)]));

/** An event's id. */
export const eventId = ({ signature, instruction, inner }) =>
  keccak256(concat([hash(signature), toBeHex(BigInt(instruction) * 65_536n + BigInt(inner), 8)]));

/** What a key of 32 bytes says under a line. */
export const sign = (secret, message) => ({
  signer: base58(ed25519.getPublicKey(getBytes(secret))),
  signature: hexlify(ed25519.sign(text(message), getBytes(secret))),
});
