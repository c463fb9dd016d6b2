// Where a deal stands, from its events alone.
export const STATUS = { None: 0, Funded: 1, Delivered: 2, Disputed: 3, Closed: 4 };

const NOTHING = { status: STATUS.None, count: 0, since: 0, fundedAt: 0, released: 0n, refunded: 0n };

const open = {
  Delivered: (state, { time }) => ({ status: STATUS.Delivered, since: time }),
  Disputed: (state, { time }) => ({ status: STATUS.Disputed, since: time }),
  Evidence: () => ({}),
  Released: (state, { args }) => ({ released: args.released }),
  Refunded: (state, { args }) => ({ refunded: args.refunded }),
  Reclaimed: (state, { args }) => ({ refunded: args.refunded }),
  Claimed: (state, { args }) => ({ released: args.released }),
  Settled: (state, { args }) => ({ released: args.released, refunded: args.refunded }),
  Ruled: (state, { args }) => ({ released: args.released, refunded: args.refunded }),
  Lapsed: (state, { args }) => ({ released: args.released, refunded: args.refunded }),
};

/**
 * The deal of `events`, which are those of one escrow: its terms, its state, since when it was delivered or disputed when it
 * closed, and when that was. Undefined where it was never funded.
 */
export function dealFrom(events, deal) {
  let terms;
  let state = NOTHING;
  let since = 0;
  let closedAt;
  for (const event of events) {
    if (event.args.deal !== deal || (event.name !== 'Funded' && !(event.name in open))) continue;
    if (event.name === 'Funded') {
      if (terms) throw new Error(`${deal} was funded twice`);
      terms = event.args.terms;
      state = { ...NOTHING, status: STATUS.Funded, count: 1, fundedAt: event.time };
      continue;
    }
    const count = Number(event.args.count);
    if (count !== (state.count + 1) % 256) throw new Error(`${deal}: event ${count} follows ${state.count}`);
    state = { ...state, count, ...open[event.name](state, event) };
    since = state.since;
    if (state.released + state.refunded === terms.amount) {
      state = { ...state, status: STATUS.Closed, since: 0 };
      closedAt = event.time;
    }
  }
  return terms && { terms, state, since, closedAt };
}

/** What the escrow keeps of it: nothing of a deal that closed when it could not be funded again anyway. */
export const storedOf = ({ terms, state, closedAt }) => (closedAt > Number(terms.fundBy) ? NOTHING : state);

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
