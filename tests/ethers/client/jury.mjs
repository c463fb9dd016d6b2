// Who sits, and what their ballots say: protocol.md, section 3.
import { getAddress } from 'ethers';
import { drawOutputs } from '../typed-data.mjs';

export const STEP = 500;
const VOID = 31n;
const SEATS = 31n;
const CAST = 155n;

/** Seed and seats of a jury; nobody of `excluded` sits. */
export function draw({ blockHash, deal, instance, jury, members, excluded, jurySize }) {
  const out = new Set(excluded.map(getAddress));
  const passedOver = members.flatMap((member, index) => (out.has(getAddress(member)) ? [index + 1] : []));
  const { seed, seats } = drawOutputs({
    block_hash: blockHash, deal, instance, jury, members: members.length, passed_over: passedOver, jury_size: jurySize,
  });
  return { seed, seats: seats.map((number) => members[number - 1]) };
}

const codeAt = (word, seat) => (word >> (5n * BigInt(seat))) & 31n;
const put = (word, seat, code) => (word & ~(31n << (5n * BigInt(seat)))) | (code << (5n * BigInt(seat)));
const codeOf = (share) => BigInt(share / STEP + 1);
const isCast = (word, seat) => ((word >> (CAST + BigInt(seat))) & 1n) === 1n;

/** The word after a signed ballot: the first fills the seat, a different one voids it, and nothing moves what was cast. */
export function signed(word, seat, share) {
  const code = codeAt(word, seat);
  if (isCast(word, seat) || code === VOID || code === codeOf(share)) return word;
  return put(word, seat, code === 0n ? codeOf(share) : VOID);
}

/** The word after a ballot cast on chain. */
export const cast = (word, seat, share) => put(word, seat, codeOf(share)) | (1n << (CAST + BigInt(seat)));

/** The shares that count. */
export function sharesIn(word) {
  const shares = [];
  for (let seat = 0n; seat < SEATS; seat += 1n) {
    const code = codeAt(word, seat);
    if (code > 0n && code < VOID) shares.push((Number(code) - 1) * STEP);
  }
  return shares;
}

/** What the median of the full jury is at least and at most. */
export function bounds(word, jurySize) {
  const k = (jurySize + 1) / 2;
  const shares = sharesIn(word).sort((a, b) => a - b);
  if (shares.length < k) return { lo: 0, hi: 10_000 };
  return { lo: shares[shares.length - k], hi: shares[k - 1] };
}

/** The last word of an instance: the share that stands without it, moved into the bounds of each jury in turn. */
export function lastWord(share, juries) {
  return juries.reduce((value, { ballots, seats }) => {
    const { lo, hi } = bounds(ballots, seats);
    return Math.min(Math.max(value, lo), hi);
  }, share);
}
