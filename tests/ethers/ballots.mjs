// How the ballots of a grievance's jury are counted (docs/grievances.md, "Juries"; docs/governance.md, "Terms"), from the docs alone.
import { integer, must, sha256 } from './records.mjs';

const WHOLE = 10_000n;
const QUORUM = 2;

/** By which rule a jury decides on a remedy, as its proposal writes it. */
export function ruleOf(remedy) {
  const median = { median: { lowest: '0', highest: `${WHOLE}` } };
  return { quorum: `1/${QUORUM}`, needs: remedy === 'reversal' ? median : 'majority' };
}

/** The number that a ballot names, where it names one. */
const numberOf = ({ choice }) => (typeof choice === 'string' ? undefined : integer(choice.number, 'number'));

/** Whether a ballot may say this. */
export function takes({ needs }, choice) {
  if (choice === 'abstain') return true;
  if (needs === 'majority') return choice === 'yes' || choice === 'no';
  const number = numberOf({ choice });
  return number !== undefined && number >= 0n && number <= WHOLE;
}

/** The ballots that count: the last one of each juror, in the order of the log. */
export const counted = (ballots) =>
  ballots.filter(({ juror }, at) => ballots.findLastIndex((other) => other.juror === juror) === at);

/** Names a list of records: SHA-256 of their ids, each with a line feed behind it. */
export const digest = (ids) => sha256(ids.map((id) => `${id}\n`).join('')).toString('hex');

/** What so many electors' ballots come to, as `tally@1` says it. */
export function resultOf(electors, { needs }, ballots) {
  const of = (word) => ballots.filter(({ choice }) => choice === word).length;
  const numbers = ballots.map(numberOf).filter((number) => number !== undefined);
  numbers.sort((one, other) => (one < other ? -1 : one > other ? 1 : 0));
  const [voted, yes, no] = [ballots.length, of('yes'), of('no')];
  const median = numbers[Math.floor((numbers.length - 1) / 2)];
  let verdict = 'accepted';
  if (electors === 0) verdict = 'no_electors';
  else if (voted * QUORUM < electors) verdict = 'quorum_missed';
  else if (yes === 0 && no === 0 && median === undefined) verdict = 'no_side';
  else if (needs === 'majority' && yes === no) verdict = 'tie';
  else if (needs === 'majority' && yes < no) verdict = 'outvoted';
  return { electors, voted, yes, no, abstained: of('abstain'), median: median === undefined ? null : `${median}`, verdict };
}

/** What a jury has decided of a payment of so much, or of no payment; undefined where it has not. */
export function outcomeOf(remedy, paid, { verdict, median }) {
  if (['no_electors', 'quorum_missed', 'no_side'].includes(verdict)) return undefined;
  if (verdict !== 'accepted') return 'rejected';
  if (remedy !== 'reversal') return 'upheld';
  if (paid === null || paid === undefined) return undefined;
  must(median !== null, 'a median is missing');
  const amount = (paid * BigInt(median) + WHOLE - 1n) / WHOLE;
  if (amount <= 0n) return 'rejected';
  return amount >= paid ? 'void_transaction' : { partial_adjustment: { amount: `${amount}` } };
}
