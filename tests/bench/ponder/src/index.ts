import { ponder } from "ponder:registry";
import { deal, event as events } from "ponder:schema";

const NAMES = ["Funded", "Delivered", "Released", "Refunded", "Disputed", "Evidence"] as const;

const text = (value: unknown) => JSON.stringify(value, (_, field) => (typeof field === "bigint" ? field.toString() : field));

for (const name of NAMES) {
  ponder.on(`Escrow:${name}` as any, async ({ event, context }: any) => {
    const args = event.args;
    await context.db.insert(events).values({
      chain: context.chain.id,
      blockNumber: event.block.number,
      logIndex: event.log.logIndex,
      blockHash: event.block.hash,
      transactionHash: event.transaction.hash,
      name,
      deal: args.deal,
      args: text(args),
    });
    if (name === "Funded") {
      const { buyer, seller, amount } = args.terms;
      await context.db.insert(deal).values({
        id: args.deal,
        terms: text(args.terms),
        buyer,
        seller,
        status: "funded",
        amount,
        released: 0n,
        refunded: 0n,
        count: 1,
      });
      return;
    }
    await context.db.update(deal, { id: args.deal }).set((row: any) => {
      const released = args.released ?? row.released;
      const refunded = args.refunded ?? row.refunded;
      const open = name === "Delivered" ? "delivered" : name === "Disputed" ? "disputed" : row.status;
      return { released, refunded, count: args.count, status: released + refunded === row.amount ? "closed" : open };
    });
  });
}
