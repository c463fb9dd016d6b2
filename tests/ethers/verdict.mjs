// The verdict of a disputed deal from its bundle (`earnest credential bundle`), by docs/protocol.md and docs/solana.md alone, with no code of
// the product:  node verdict.mjs BUNDLE
// Prints it as JSON. Ends with 0 where the ballots make the ruling that was paid, 3 where they do not, 1 where there is none to check.
// What it takes from the bundle on the hub's word are the chain's events; it names the transactions, for whoever wants to ask a node.
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TypedDataEncoder, ZeroHash, getAddress, getBytes, recoverAddress } from 'ethers';
import { canonical } from './records.mjs';
import { caseId, digest, key, line } from './solana/lines.mjs';
import { TYPES, caseOutputs, dealOutputs, domainOf } from './typed-data.mjs';

const WHOLE = 10_000;
const STEP = 500;
const VOID = 31;

const sha256 = (text) => `0x${createHash('sha256').update(text, 'utf8').digest('hex')}`;
const addressOf = (account) => account.slice(account.lastIndexOf(':') + 1);
const isEvm = (account) => account.startsWith('eip155:');
const same = (one, other) => (isEvm(one) ? one.toLowerCase() === other.toLowerCase() : one === other);

/** An Ed25519 signature of a line, as node's own OpenSSL sees it. */
function signedLine(juror, text, signature) {
  const x = Buffer.from(key(juror)).toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return verify(null, Buffer.from(text, 'utf8'), publicKey, getBytes(signature));
}

/** What the two kinds of chain hash and sign. */
const evm = {
  deal: (terms) => dealOutputs({ terms }).deal,
  case: (terms, jury) => caseOutputs({ ...jury, escrow: addressOf(terms.escrow) }).case_id,
  signed(terms, id, { share, reason, signature }, juror) {
    const hash = TypedDataEncoder.hash(domainOf('Ballot', terms.arbiter), TYPES.Ballot, { caseId: id, share, reason });
    return recoverAddress(hash, signature) === getAddress(juror);
  },
};
const home = (terms) => ({ cluster: terms.escrow.slice(0, terms.escrow.lastIndexOf(':')), program: addressOf(terms.escrow) });
const solana = {
  deal: (terms) => digest(home(terms), 'terms', terms),
  case: (terms, jury) => caseId(addressOf(terms.escrow), jury),
  signed: (terms, id, { share, reason, signature }, juror) =>
    signedLine(juror, line('ballot', digest(home(terms), 'ballot', { case: id, share, reason })), signature),
};

/** Whether a ballot is that seat's for that jury; bytes that are no signature are nobody's. */
function isSigned(chain, terms, jury, ballot) {
  const juror = jury.seats[ballot.seat];
  if (juror === undefined || ballot.share % STEP !== 0 || ballot.share > WHOLE) return false;
  try {
    return chain.signed(terms, jury.case, ballot, juror);
  } catch {
    return false;
  }
}

/** Whether the contract that must have said this did: the pools name the escrow whose deal they hear, the escrow names none. */
function isOurs({ contract, body: { deal, escrow } }, terms, ours) {
  if (deal !== ours) return false;
  if (escrow === undefined) return same(contract, terms.escrow);
  return same(contract, terms.arbiter) && same(contract.replace(addressOf(contract), escrow), terms.escrow);
}

/** The final events about the deal that its escrow and its arbiter emitted, in the chain's order. */
function eventsOf(records, terms, deal) {
  const told = records.filter(({ type }) => type === 'chain-event@1').map(({ body }) => body);
  const ours = told.filter(({ finality, event }) => finality === 'final' && isOurs(event, terms, deal));
  // A place in the block on the EVM; on Solana only the feed knows the order of a slot's transactions.
  const place = ({ seq, event }) => BigInt(isEvm(terms.escrow) ? event.log_index : seq);
  const order = (one, other) => BigInt(one.event.block_number) - BigInt(other.event.block_number) || place(one) - place(other);
  return ours.sort((one, other) => Number(order(one, other))).map(({ event }) => ({ ...event.body, transaction: event.transaction }));
}

/** Every jury that was drawn, with what was cast on chain and the last word of ballots that the chain counted. */
function juriesOf(events, terms, deal, chain) {
  const juries = [];
  const find = ({ instance, jury }) => juries.find((one) => one.instance === instance && one.jury === jury);
  for (const event of events) {
    if (event.name === 'JuryDrawn') {
      const { pool, instance, jury, seed, seats, transaction } = event;
      const id = chain.case(terms, { pool, deal, instance, jury, seed });
      juries.push({ instance, jury, case: id, drawn: transaction, seats, cast: new Map(), signed: new Map(), counted: 0n });
    }
    if (event.name === 'BallotCast') find(event)?.cast.set(event.seat, event.share);
    if (['BallotsCounted', 'RulingAccepted'].includes(event.name) && find(event)) find(event).counted = BigInt(event.ballots);
  }
  return juries;
}

/** Five bits a seat: nothing, share / 500 + 1, or void. */
function countedSeat(jury, seat) {
  const field = Number((jury.counted >> BigInt(5 * seat)) & 31n);
  if (field === VOID) return 'void';
  return field === 0 ? undefined : (field - 1) * STEP;
}

/** Rule 4: between which shares the median of the whole jury lies. */
export function bounds(shares) {
  const voted = shares.filter((share) => typeof share === 'number').sort((one, other) => one - other);
  const middle = Math.floor(shares.length / 2);
  return { lo: voted.at(-1 - middle) ?? 0, hi: voted[middle] ?? WHOLE };
}

const clamp = (value, lo, hi) => (value < lo ? lo : value > hi ? hi : value);

/** Rules 4 to 6 for one accepted ruling, first by what can be proven from the file, then by what the chain says it counted. */
function rulingOf({ instance, jury: number }, juries, standing) {
  const of = juries.filter((one) => one.instance === instance).sort((one, other) => one.jury - other.jury);
  const its = of.find(({ jury }) => jury === number);
  const counted = (jury) => bounds(jury.seats.map((_, seat) => countedSeat(jury, seat)));
  if (its) {
    const proven = bounds(its.seats.map((_, seat) => its.cast.get(seat) ?? its.signed.get(seat)));
    if (proven.lo === proven.hi) return { share: proven.lo, by: 'ballots' };
    const { lo, hi } = counted(its);
    if (lo === hi) return { share: lo, by: "the chain's count, for signatures are missing" };
  }
  const share = of.map(counted).reduce((last, { lo, hi }) => clamp(last, lo, hi), standing);
  return { share, by: "the last word, by the chain's count" };
}

/** What the bundle's own ballots come to, and every way in which the bundle contradicts that. */
export function verdict({ records }) {
  const faults = [];
  const { terms, agreement } = records[0].body;
  const chain = isEvm(terms.escrow) ? evm : solana;
  const deal = chain.deal(terms);
  if (sha256(canonical(agreement)) !== terms.agreement) faults.push('the agreement is not the one that the terms name');
  const events = eventsOf(records, terms, deal);
  const juries = juriesOf(events, terms, deal, chain);

  for (const { id, body } of records.filter(({ type }) => type === 'ballot@1')) {
    const ballot = { ...body, reason: body.reason === '' ? ZeroHash : sha256(body.reason) };
    const jury = juries.find((one) => one.jury === (body.jury ?? 0) && isSigned(chain, terms, one, ballot));
    if (!jury) faults.push(`ballot ${id}: not signed by the wallet of seat ${body.seat}`);
    else if (jury.signed.has(body.seat) && jury.signed.get(body.seat) !== body.share) jury.signed.set(body.seat, 'void');
    else jury.signed.set(body.seat, body.share);
  }
  for (const jury of juries) {
    for (const [seat, share] of jury.signed) {
      const counted = countedSeat(jury, seat);
      if (!jury.cast.has(seat) && typeof counted === 'number' && counted !== share) {
        faults.push(`jury ${jury.jury} of instance ${jury.instance}, seat ${seat}: signed ${share}, the chain counted ${counted}`);
      }
    }
  }

  let standing;
  const rulings = events.filter(({ name }) => name === 'RulingAccepted').map((event) => {
    const { share, by } = rulingOf(event, juries, standing ?? terms.lapse_share);
    if (share !== event.share) faults.push(`instance ${event.instance}: the ballots come to ${share}, the ruling is ${event.share}`);
    standing = event.share;
    return { instance: event.instance, jury: event.jury, share, by };
  });
  const payment = paid(events, terms, rulings.at(-1), faults);
  return { deal, juries: juries.map(shown), rulings, ...payment, holds: rulings.length > 0 && faults.length === 0, faults };
}

/** The share of the whole amount, moved between what each side had already, beside what the escrow says that it paid. */
function paid(events, terms, ruling, faults) {
  const ruled = events.find(({ name }) => name === 'Ruled');
  if (!ruling) return { share: null, seller: null, buyer: null, ruled: null };
  const before = (name, total) => BigInt(events.findLast((event) => event.name === name)?.[total] ?? 0);
  const amount = BigInt(terms.amount);
  const share = (amount * BigInt(ruling.share)) / BigInt(WHOLE);
  const seller = clamp(share, before('Released', 'released'), amount - before('Refunded', 'refunded'));
  const buyer = amount - seller;
  if (!ruled) faults.push('the escrow was never told of the ruling');
  else if (ruled.share !== ruling.share) faults.push(`the escrow was told ${ruled.share}, the ballots come to ${ruling.share}`);
  else if (BigInt(ruled.released) !== seller || BigInt(ruled.refunded) !== buyer) {
    faults.push(`the escrow paid ${ruled.released} and ${ruled.refunded}, the ruling comes to ${seller} and ${buyer}`);
  }
  return { share: ruling.share, seller: `${seller}`, buyer: `${buyer}`, ruled: ruled?.transaction ?? null };
}

const shown = ({ cast, signed, counted, seats, ...jury }) => ({
  ...jury,
  seats: seats.map((juror, seat) => ({
    juror, share: cast.get(seat) ?? signed.get(seat) ?? null, by: cast.has(seat) ? 'cast on chain' : signed.has(seat) ? 'signature' : null,
  })),
});

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [, , file] = process.argv;
  if (file === undefined) {
    console.error('usage: node verdict.mjs BUNDLE');
    process.exit(1);
  }
  const found = verdict(JSON.parse(readFileSync(file, 'utf8')));
  console.log(JSON.stringify(found, null, 2));
  if (found.rulings.length === 0) console.error('no jury ruled in this file');
  process.exitCode = found.rulings.length === 0 ? 1 : found.holds ? 0 : 3;
}
