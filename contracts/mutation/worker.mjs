// Tries one mutant after the other in a copy of the contracts that is this worker's own.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { codeOf } from './compile.mjs';

const { root, forge, targets } = workerData;
const ENOUGH = 180_000; // milliseconds; a run without a fault takes about ten seconds
const own = {
  ...process.env,
  FOUNDRY_DENY: 'never',
  FOUNDRY_FUZZ_RUNS: '64',
  FOUNDRY_INVARIANT_RUNS: '8',
  FOUNDRY_CODE_SIZE_LIMIT: '1000000', // hardly optimised code is too large for a chain
};
const originals = new Map();

// The code that the tests deploy by name comes from forge's folder of artefacts: it takes a mutant there without compiling.
function install(target, code) {
  const path = join(root, 'out', `${target.contract}.sol`, `${target.contract}.json`);
  const artefact = JSON.parse(readFileSync(path, 'utf8'));
  artefact.bytecode.object = `0x${code}`;
  writeFileSync(path, JSON.stringify(artefact));
}

// What bounds the gas of optimised code, or needs a token that a filtered run does not compile.
const MEASURES = ['gas/**', 'pools/LargestCase.t.sol'];
const glob = (parts) => `test/{${parts.join(',')}}`;

/** Whether every test passes, those of the folders that are about the mutant first. */
function survives(folders) {
  const near = folders.map((folder) => `${folder}/**`);
  const runs = [
    ['--match-path', glob(near), '--no-match-path', glob(MEASURES)],
    ['--no-match-path', glob([...near, ...MEASURES])],
  ];
  return runs.every((choice) => {
    const { status } = spawnSync(forge, ['test', '--fail-fast', '--threads', '1', ...choice], {
      cwd: root, env: own, stdio: 'ignore', timeout: ENOUGH, killSignal: 'SIGKILL',
    });
    return status === 0;
  });
}

/** The same from the mutated source, for what tests import and so compile into themselves. */
function survivesAsSource(mutant, source, content) {
  writeFileSync(join(root, mutant.file), content);
  try {
    return survives(['pools']);
  } finally {
    writeFileSync(join(root, mutant.file), source);
    spawnSync(forge, ['build'], { cwd: root, env: own, stdio: 'ignore' });
  }
}

function attempt(mutant) {
  const source = readFileSync(join(root, mutant.file));
  const content = Buffer.concat([source.subarray(0, mutant.start), Buffer.from(mutant.after), source.subarray(mutant.end)]);
  const changed = { file: mutant.file, content: content.toString() };
  const touched = targets.filter(({ sources }) => sources.includes(mutant.file));
  const codes = [];
  for (const target of touched) {
    const code = codeOf(root, target, changed);
    if (code === null) return 'does not compile';
    codes.push(code);
  }
  if (touched.every((target, i) => codes[i] === originals.get(target.contract))) return 'same code';
  touched.forEach((target, i) => install(target, codes[i]));
  try {
    if (!survives(touched.map(({ folder }) => folder))) return 'killed';
    return mutant.imported && !survivesAsSource(mutant, source, content) ? 'killed' : 'survived';
  } finally {
    targets.forEach((target) => install(target, originals.get(target.contract)));
  }
}

for (const target of targets) {
  originals.set(target.contract, codeOf(root, target));
  install(target, originals.get(target.contract));
}
parentPort.postMessage({ ready: survives(['escrow', 'pools', 'arbiters']) });
parentPort.on('message', (mutant) => parentPort.postMessage({ mutant, outcome: attempt(mutant) }));
