// The bench's chain for ponder: the same node under several URLs, because ponder holds back by URL (20 requests a second at
// first, 500 at most), and this bench is not about politeness.
import { readFileSync } from "node:fs";
import { createConfig } from "ponder";
import type { Abi } from "viem";

const artefact = JSON.parse(readFileSync(process.env.BENCH_ABI!, "utf8")) as { abi: Abi };

export default createConfig({
  database: { kind: "postgres", connectionString: process.env.DATABASE_URL! },
  chains: { anvil: { id: 31337, rpc: process.env.BENCH_RPC!.split(",") } },
  contracts: {
    Escrow: {
      chain: "anvil",
      abi: artefact.abi,
      address: process.env.BENCH_ESCROW as `0x${string}`,
      startBlock: Number(process.env.BENCH_START),
    },
  },
});
