// Where a case stands, from events alone, in the form of `caseOf`.
import { ZeroHash } from 'ethers';

const DAY = 86_400;
export const STAGE = { None: 0, Open: 1, Drawn: 2, Accepted: 3, Executed: 4 };

const UNKNOWN = {
  seats: 0, appealable: false, list: 0, members: 0, endsAt: 0, acceptedAt: 0, share: 0, seed: ZeroHash, ballots: 0n,
};

const numbers = (struct) => Object.fromEntries(
  Object.entries(struct).map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value]),
);

/** Rule books by pool, and the lists of each. */
export function poolsFrom(events) {
  const pools = new Map();
  for (const { name, args } of events) {
    if (name === 'PoolCreated') pools.set(args.pool, { book: numbers(args.book), lists: [] });
    if (name === 'ListPublished') pools.get(args.pool).lists.push(numbers(args));
  }
  return pools;
}

/** The newest list in effect at that time, if any. */
const listAt = (pool, time) => pool?.lists.findLast(({ effectiveAt }) => effectiveAt <= time);

export const spanOf = ({ opening, voting }) => 2 * (opening + voting);

/** Whether the parent could seat two juries, whoever of the pool sat before. */
function canHear(pool, parent, fundedAt) {
  const { size = 0 } = listAt(parent, fundedAt) ?? {};
  return size >= 2 * (parent?.book.jurySize ?? 0) + 2 + 2 * pool.book.jurySize && parent !== undefined;
}

/** Whether there is time for the appeal of a ruling accepted at `time`, where there can be one at all. */
const timeFor = (time, { pool, parent, since, terms }) =>
  time + pool.book.appeal + spanOf(parent.book) + 2 * DAY <= since + Number(terms.ruling);

/** The last jury of a case, as each event leaves it. */
const steps = {
  TargetMoved: (last, { args }) => ({ ...last, targetBlock: Number(args.targetBlock) }),
  // The ballots that determine the ruling are in its event alone.
  RulingAccepted(last, { args, time }, known) {
    const acceptedAt = Math.min(time, last.endsAt);
    return {
      ...last,
      stage: args.executableAt === 0n ? STAGE.Executed : STAGE.Accepted,
      appealable: last.appealable && timeFor(acceptedAt, known),
      share: Number(args.share),
      acceptedAt,
    };
  },
  RulingExecuted: (last) => ({ ...last, stage: STAGE.Executed }),
};

function opened(juries, { args }, { pool, parent, state }) {
  const instance = Number(args.instance);
  const jury = Number(args.jury);
  const fresh = { ...UNKNOWN, stage: STAGE.Open, instance, jury, targetBlock: Number(args.targetBlock) };
  const last = juries.at(-1);
  if (!last) return fresh;
  if (jury === 1) {
    const { seats, appealable, list, members, endsAt } = last;
    return { ...fresh, seats, appealable, list, members, endsAt };
  }
  const { list, size } = listAt(parent, state.fundedAt);
  const endsAt = last.acceptedAt + pool.book.appeal + spanOf(parent.book);
  return { ...fresh, seats: parent.book.jurySize, list, members: size, endsAt };
}

function drawn(last, { args }, { pools, pool, parent, state }) {
  const instance = Number(args.instance);
  const list = Number(args.list);
  return {
    ...last,
    stage: STAGE.Drawn,
    instance,
    seats: args.seats.length,
    appealable: instance === 0 && canHear(pool, parent, state.fundedAt),
    list,
    members: pools.get(args.pool).lists[list].size,
    endsAt: Number(args.endsAt),
    targetBlock: 0,
    seed: args.seed,
  };
}

/** The juries of the case of a deal, of which `dealFrom` knows terms, state and since when it is disputed. */
export function caseFrom({ pools: events, deal, escrow, terms, state, since }) {
  const pools = poolsFrom(events);
  const pool = pools.get(terms.annex.panel);
  const parent = pools.get(pool?.book.parent);
  const known = { pools, pool, parent, state, since, terms };
  const juries = [];
  for (const event of events) {
    if (event.args.deal !== deal || event.args.escrow !== escrow) continue;
    const at = juries.length - 1;
    if (event.name === 'CaseOpened') juries.push(opened(juries, event, known));
    if (event.name === 'JuryDrawn') juries[at] = drawn(juries[at], event, known);
    if (event.name in steps) juries[at] = steps[event.name](juries[at], event, known);
    if (event.name === 'BallotsCounted') {
      const { instance, jury, ballots } = event.args;
      juries.find((one) => one.instance === Number(instance) && one.jury === Number(jury)).ballots = ballots;
    }
  }
  return juries;
}
