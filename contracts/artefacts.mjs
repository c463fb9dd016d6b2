#!/usr/bin/env node
// Writes what the rest of the project knows of the contracts, protocol/abi/NAME.json, from forge's out/ (run `forge build`
// first): {"abi", "bytecode", "sources"}, the last with the SHA-256 of every source that the compiler read, by its path
// under contracts/. With --check it writes nothing and fails when the committed files differ.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, '..', 'protocol', 'abi');
const names = ['Escrow', 'ArbitrationPools', 'TestToken'];
const check = process.argv.includes('--check');

function artefact(name) {
  const { abi, bytecode, metadata } = JSON.parse(readFileSync(join(here, 'out', `${name}.sol`, `${name}.json`), 'utf8'));
  const sources = {};
  for (const path of Object.keys(metadata.sources).sort()) {
    sources[path] = createHash('sha256').update(readFileSync(join(here, path))).digest('hex');
  }
  return `${JSON.stringify({ abi, bytecode: bytecode.object, sources }, null, 2)}\n`;
}

function committed(name) {
  try {
    return readFileSync(join(target, `${name}.json`), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

mkdirSync(target, { recursive: true });
for (const name of names) {
  const text = artefact(name);
  if (!check) {
    writeFileSync(join(target, `${name}.json`), text);
  } else if (committed(name) !== text) {
    console.error(`protocol/abi/${name}.json is not what contracts/ compile to: run forge build and artefacts.mjs`);
    process.exitCode = 1;
  }
}
