// The decoded events, and what those of a deal add up to: what the indexer keeps as `events` and `states`.
import { index, onchainTable, primaryKey } from "ponder";

export const event = onchainTable(
  "event",
  (t) => ({
    chain: t.integer().notNull(),
    blockNumber: t.bigint().notNull(),
    logIndex: t.integer().notNull(),
    blockHash: t.hex().notNull(),
    transactionHash: t.hex().notNull(),
    name: t.text().notNull(),
    deal: t.hex().notNull(),
    args: t.text().notNull(),
  }),
  (table) => ({
    pk: primaryKey({ columns: [table.chain, table.blockNumber, table.logIndex] }),
    byDeal: index().on(table.deal),
  }),
);

export const deal = onchainTable("deal", (t) => ({
  id: t.hex().primaryKey(),
  terms: t.text().notNull(),
  buyer: t.hex().notNull(),
  seller: t.hex().notNull(),
  status: t.text().notNull(),
  amount: t.bigint().notNull(),
  released: t.bigint().notNull(),
  refunded: t.bigint().notNull(),
  count: t.integer().notNull(),
}));
