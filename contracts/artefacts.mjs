#!/usr/bin/env node
// Writes what the rest of the project knows of the contracts, from forge's out/ (run `forge build` first):
//   protocol/abi/NAME.json      {"abi", "bytecode", "sources"}, the last with the SHA-256 of every source that the compiler
//                               read, by its path under contracts/
//   protocol/abi/manifest.json  where each contract is on every chain (docs/architecture.md, "Deployment") and by what
//                               settings its code came about
// With --check it writes nothing and fails when the committed files differ.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sha3 from 'js-sha3';

const here = dirname(fileURLToPath(import.meta.url));
const out = process.env.FOUNDRY_OUT ?? join(here, 'out');
const target = join(here, '..', 'protocol', 'abi');
const deployed = ['Escrow', 'ArbitrationPools', 'Mediator', 'CourtArbiter'];
const forTests = ['TestToken'];
const check = process.argv.includes('--check');

// The deterministic deployment proxy and the one salt for all, as in protocol/src/evm/deployment.rs.
const factory = '0x4e59b44847b379578588920cA78FbF26c0B4956C';
const salt = `0x${Buffer.from('earnest 1').toString('hex').padEnd(64, '0')}`;

const compiled = (name) => JSON.parse(readFileSync(join(out, `${name}.sol`, `${name}.json`), 'utf8'));
const keccak256 = (hex) => sha3.keccak256(Buffer.from(hex.replace(/^0x/, ''), 'hex'));
const pretty = (value) => `${JSON.stringify(value, null, 2)}\n`;

function artefact({ abi, bytecode, metadata }) {
  const sources = {};
  for (const path of Object.keys(metadata.sources).sort()) {
    sources[path] = createHash('sha256').update(readFileSync(join(here, path))).digest('hex');
  }
  return { abi, bytecode: bytecode.object, sources };
}

/** The last 20 bytes of a hash as an address with its checksum (EIP-55). */
function address(hash) {
  const digits = hash.slice(-40);
  const checksum = sha3.keccak256(digits);
  return `0x${[...digits].map((digit, at) => (parseInt(checksum[at], 16) > 7 ? digit.toUpperCase() : digit)).join('')}`;
}

function published(name, { abi, bytecode, metadata }) {
  // An address that hangs on arguments would not be the same everywhere.
  const constructor = abi.find((entry) => entry.type === 'constructor');
  if (constructor?.inputs.length > 0) throw new Error(`${name}: the constructor takes arguments`);
  const initCodeHash = keccak256(bytecode.object);
  const { compiler, settings } = metadata;
  return {
    name,
    address: address(keccak256(`ff${factory.slice(2)}${salt.slice(2)}${initCodeHash}`)), // EIP-1014
    factory,
    salt,
    init_code_hash: `0x${initCodeHash}`,
    compiler: {
      version: compiler.version,
      evm_version: settings.evmVersion,
      via_ir: settings.viaIR === true,
      optimizer_runs: settings.optimizer.runs,
    },
  };
}

function committed(name) {
  try {
    return readFileSync(join(target, `${name}.json`), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

const files = {};
for (const name of [...deployed, ...forTests]) files[name] = pretty(artefact(compiled(name)));
files.manifest = pretty({ contracts: deployed.map((name) => published(name, compiled(name))) });

mkdirSync(target, { recursive: true });
for (const [name, text] of Object.entries(files)) {
  if (!check) {
    writeFileSync(join(target, `${name}.json`), text);
  } else if (committed(name) !== text) {
    console.error(`protocol/abi/${name}.json is not what contracts/ compile to: run forge build and artefacts.mjs`);
    process.exitCode = 1;
  }
}
