// Where a deal stands, from its events alone.
import { closedBy, closedByShare } from './amounts.mjs';

export const STATUS = { None: 0, Funded: 1, Delivered: 2, Disputed: 3, Closed: 4 };

/** Of a deal without events. */
const NOTHING = { status: STATUS.None, count: 0, since: 0, fundedAt: 0, released: 0n, refunded: 0n };

/** What each event makes of a state. Totals that the client can compute are its own, and the event must say the same. */
const open = {
  Delivered: (state, { time }) => ({ status: STATUS.Delivered, since: time }),
  Disputed: (state, { time }) => ({ status: STATUS.Disputed, since: time }),
  Evidence: () => ({}),
  Released: (state, { args }) => ({ released: args.released }),
  Refunded: (state, { args }) => ({ refunded: args.refunded }),
  Reclaimed: ({ released }, event, { amount }) => ({ refunded: amount - released }),
  Claimed: ({ refunded }, event, { amount }) => ({ released: amount - refunded }),
  Settled: (state, { args }, terms) => closedBy(args.released, terms, state),
  Ruled: (state, { args }, terms) => closedByShare(args.share, terms, state),
  Lapsed: (state, event, terms) => closedByShare(terms.lapseShare, terms, state),
};

function after(state, event, terms) {
  const count = Number(event.args.count);
  if (count !== (state.count + 1) % 256) throw new Error(`${event.args.deal}: event ${count} follows ${state.count}`);
  const next = { ...state, count, ...open[event.name](state, event, terms) };
  for (const side of ['released', 'refunded']) {
    const told = event.args[side] ?? next[side];
    if (told !== next[side]) throw new Error(`${event.name} says that ${told} is ${side}, not ${next[side]}`);
  }
  return next;
}

/**
 * The deal of `events`, which are those of one escrow: its terms, its state, since when it was delivered or disputed when it
 * closed, and when that was. Only a state where it was retracted; undefined where it was never funded.
 */
export function dealFrom(events, deal) {
  let terms;
  let state = NOTHING;
  let since = 0;
  let closedAt;
  for (const event of events) {
    if (event.args.deal !== deal) continue;
    if (event.name === 'Retracted') return { state: { ...NOTHING, status: STATUS.Closed } };
    if (event.name !== 'Funded' && !(event.name in open)) continue;
    if (event.name === 'Funded') {
      if (terms) throw new Error(`${deal} was funded twice`);
      terms = event.args.terms;
      state = { ...NOTHING, status: STATUS.Funded, count: 1, fundedAt: event.time };
      continue;
    }
    state = after(state, event, terms);
    since = state.since;
    if (state.released + state.refunded === terms.amount) {
      state = { ...state, status: STATUS.Closed, since: 0 };
      closedAt = event.time;
    }
  }
  return terms && { terms, state, since, closedAt };
}

/** What the escrow keeps of it: nothing of a deal that closed when it could not be funded again anyway. */
export const storedOf = ({ terms, state, closedAt }) => (closedAt > Number(terms?.fundBy) ? NOTHING : state);

/** What an escrow owes in all, by asset: what open deals hold and what credit is left. */
export function owedBy(events) {
  const owed = new Map();
  const add = (asset, amount) => owed.set(asset, (owed.get(asset) ?? 0n) + amount);
  for (const { name, args } of events) {
    if (name === 'Funded') {
      const { terms, state } = dealFrom(events, args.deal);
      add(terms.asset, terms.amount - state.released - state.refunded);
    }
    if (name === 'Credited') add(args.asset, args.amount);
    if (name === 'Withdrawn') add(args.asset, -args.amount);
  }
  return owed;
}
