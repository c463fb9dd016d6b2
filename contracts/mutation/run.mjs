#!/usr/bin/env node
// Puts small faults into the contracts, one at a time, and sees whether a test notices:
//   node mutation/run.mjs [--only FILE] [--sample N] [--jobs N] [--forget]
// --only: a path or the end of one; --sample: N mutants, always the same; --forget: try again what was tried before.
// Works on copies. What was tried is remembered in cache-mutants/ until its source or a test changes. mutation/results.json
// records the outcome; a survivor there has an answer, written by hand, or the run fails.
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { treeOf } from './compile.mjs';
import { mutantsOf } from './operators.mjs';

const CONTRACTS = join(dirname(fileURLToPath(import.meta.url)), '..');
const RESULTS = join(CONTRACTS, 'mutation', 'results.json');
const FORGE = process.env.FORGE ?? join(CONTRACTS, 'node_modules/@foundry-rs/forge-linux-amd64/bin/forge');
// What the tests deploy by name, and the folder of tests that is about it.
const DEPLOYED = { Escrow: 'escrow', ArbitrationPools: 'pools', CourtArbiter: 'arbiters', Mediator: 'arbiters' };

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    sample: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    forget: { type: 'boolean' },
  },
});

const hash = (...parts) => parts.reduce((made, part) => made.update(part), createHash('sha256')).digest('hex');

/** A copy that can be built and spoilt. */
function copyOf(root) {
  for (const part of ['bin', 'src', 'test', 'foundry.toml', 'package.json']) {
    cpSync(join(CONTRACTS, part), join(root, part), { recursive: true });
  }
  symlinkSync(join(CONTRACTS, 'node_modules'), join(root, 'node_modules'));
  return root;
}

/** What each deployed contract is compiled from, as forge's artefacts say. */
function targetsIn(root) {
  return Object.entries(DEPLOYED).map(([contract, folder]) => {
    const { metadata } = JSON.parse(readFileSync(join(root, 'out', `${contract}.sol`, `${contract}.json`), 'utf8'));
    const [file] = Object.keys(metadata.settings.compilationTarget);
    const sources = Object.keys(metadata.sources).filter((path) => path.startsWith('src/') && !path.includes('/interfaces/'));
    return { contract, folder, file, sources, remappings: metadata.settings.remappings };
  });
}

function chosen(root, targets) {
  const files = [...new Set(targets.flatMap(({ sources }) => sources))].sort();
  const wanted = files.filter((file) => !options.only || options.only.some((end) => file.endsWith(end)));
  const all = wanted.flatMap((file) => mutantsOf(file, readFileSync(join(root, file)), treeOf(root, file)));
  // By id, which is a hash: spread over everything, and the same every time.
  const spread = all.sort((a, b) => (a.id < b.id ? -1 : 1));
  return options.sample ? spread.slice(0, Number(options.sample)) : spread;
}

const filesUnder = (folder) => readdirSync(folder, { recursive: true }).filter((path) => path.endsWith('.sol')).sort();

/** The libraries that tests import and so compile into themselves. */
function importedBy(tests) {
  const sources = filesUnder(tests).map((path) => readFileSync(join(tests, path), 'utf8'));
  return new Set(sources.flatMap((text) => [...text.matchAll(/src\/libraries\/\w+\.sol/g)].map(([path]) => path)));
}

/** Outcomes of earlier runs, as long as neither the sources nor the tests have changed; and how to add one. */
function memory(root) {
  const read = (folder) => filesUnder(join(root, folder)).map((path) => path + readFileSync(join(root, folder, path), 'utf8'));
  const file = join(CONTRACTS, 'cache-mutants', `${hash(...read('src'), ...read('test')).slice(0, 16)}.jsonl`);
  mkdirSync(dirname(file), { recursive: true });
  if (options.forget) rmSync(file, { force: true });
  writeFileSync(file, '', { flag: 'a' });
  const known = readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
  return {
    known: new Map(known.map(({ id, outcome }) => [id, outcome])),
    add: (id, outcome) => appendFileSync(file, `${JSON.stringify({ id, outcome })}\n`),
  };
}

/** Gives the workers mutants until none is left. */
function tryAll(mutants, roots, targets, tell) {
  const queue = [...mutants];
  const work = (root) => new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: { root, forge: FORGE, targets } });
    worker.on('error', reject);
    worker.on('message', ({ ready, mutant, outcome }) => {
      if (ready === false) return reject(new Error('the tests fail without any mutant'));
      if (mutant) tell(mutant, outcome);
      const next = queue.shift();
      if (next) return worker.postMessage(next);
      return resolve(worker.terminate());
    });
  });
  return Promise.all(roots.map(work));
}

function record(mutants, outcomes, seconds) {
  const before = (() => {
    try {
      return JSON.parse(readFileSync(RESULTS, 'utf8'));
    } catch (error) {
      if (error.code === 'ENOENT') return { survivors: [] };
      throw error;
    }
  })();
  const answers = new Map(before.survivors.map(({ id, answer }) => [id, answer]));
  const files = {};
  const survivors = [];
  for (const mutant of mutants) {
    const outcome = outcomes.get(mutant.id);
    const counts = (files[mutant.file] ??= { killed: 0, survived: 0, 'same code': 0, 'does not compile': 0 });
    counts[outcome] += 1;
    if (outcome !== 'survived') continue;
    const { id, file, where, line, operator, before: old, after } = mutant;
    survivors.push({ id, file, where, line, operator, before: old, after, answer: answers.get(id) ?? '' });
  }
  const whole = !options.only && !options.sample;
  const run = { mutants: mutants.length, sampled: whole ? null : process.argv.slice(2).join(' '), seconds };
  writeFileSync(RESULTS, `${JSON.stringify({ run, files, survivors }, null, 2)}\n`);
  return survivors;
}

async function main() {
  const started = Date.now();
  const scratch = mkdtempSync(join(tmpdir(), 'earnest-mutants-'));
  try {
    const first = copyOf(join(scratch, '0'));
    execFileSync(FORGE, ['build'], { cwd: first, env: { ...process.env, FOUNDRY_DENY: 'never' }, stdio: 'pipe' });
    const roots = [first];
    for (let i = 1; i < Number(options.jobs); i += 1) {
      roots.push(join(scratch, String(i)));
      cpSync(first, roots[i], { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    }
    const targets = targetsIn(first);
    const imported = importedBy(join(first, 'test'));
    const mutants = chosen(first, targets).map((mutant) => ({ ...mutant, imported: imported.has(mutant.file) }));
    const { known, add } = memory(first);
    const left = mutants.filter(({ id }) => !known.has(id));
    console.log(`${mutants.length} mutants, ${mutants.length - left.length} of them tried before`);
    let done = 0;
    await tryAll(left, roots, targets, (mutant, outcome) => {
      known.set(mutant.id, outcome);
      add(mutant.id, outcome);
      done += 1;
      const what = `${mutant.file}:${mutant.line} ${mutant.before.replace(/\s+/g, ' ')} -> ${mutant.after}`;
      console.log(`${done}/${left.length} ${outcome}  ${what}`);
    });
    const survivors = record(mutants, known, Math.round((Date.now() - started) / 1000));
    const unanswered = survivors.filter(({ answer }) => answer === '');
    console.log(`${survivors.length} survivors, ${unanswered.length} without an answer in mutation/results.json`);
    process.exitCode = unanswered.length > 0 ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

await main();
