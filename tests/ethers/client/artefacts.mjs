// What is put on the chain: Earnest's contracts as protocol/abi publishes them, and those of others (others/compile.mjs).
import { readFileSync } from 'node:fs';
import { Interface } from 'ethers';

const json = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const published = (name) => json(`../../../protocol/abi/${name}.json`);
const artefact = ({ abi, bytecode }) => ({ face: new Interface(abi), bytecode });

export const { contracts: MANIFEST } = published('manifest');

export const EARNEST = Object.fromEntries(
  ['Escrow', 'ArbitrationPools', 'Mediator', 'CourtArbiter', 'TestToken'].map((name) => [name, artefact(published(name))]),
);

/** Compiled by `npm run others`, which `npm test` does first. */
const { Permit2, ...others } = json('../out/others.json');
export const PERMIT2 = Permit2;
export const OTHERS = Object.fromEntries(Object.entries(others).map(([name, compiled]) => [name, artefact(compiled)]));
