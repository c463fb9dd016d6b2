#!/usr/bin/env node
// Holds the specifications in test/trees/**/*.tree to the contracts and to their tests. `npm run trees` checks all;
// `node trees.mjs Escrow` only the trees of one contract.
//
// A tree specifies one function (all overloads of a name together). Its first line is Contract.function. Below it stand
// conditions, "given" something of the state or "when" something of the call, each with what follows from it. A leaf says
// what happens and names, in backticks, the tests that show it; a name that two test contracts share is written with the
// contract's, as ContractTest.test_Name:
//
//   ArbitrationPools.open
//   ├── given the case was opened before
//   │   └── It should revert with CaseExists. `OpenTest.test_TwiceIsRefused`
//   └── given the deal is disputed
//       ├── when the caller is a stranger
//       │   └── It should open the case. `test_AnybodyOpens`
//       └── It should emit CaseOpened. `test_FixesTheTarget` `test_AnybodyOpens`
//
// It fails when
//   - a function of the ABI (protocol/abi) has no tree, or two, or a tree is of no function;
//   - an error of the ABI stands in no tree of its contract, or "revert with X" names an error that the ABI does not have;
//   - a leaf names no test, one that no test contract has, or one that several have;
//   - the lines form no tree, a condition does not start with given or when, or nothing follows from it, or a leaf does not
//     start with "It should".
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const chosen = process.argv.slice(2);
const contracts = chosen.length > 0 ? chosen : ['Escrow', 'ArbitrationPools', 'Mediator', 'CourtArbiter'];
const problems = [];

const files = (folder, ending) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(folder, name));
const linesOf = (path) => readFileSync(path, 'utf8').split('\n');

/** Which contracts of test/ have a test of each name. */
function testContracts() {
  const homes = new Map();
  for (const path of files(join(here, 'test'), '.sol')) {
    let contract;
    for (const line of linesOf(path)) {
      contract = /^(?:abstract )?contract (\w+)/.exec(line)?.[1] ?? contract;
      const test = /^\s+function ((?:test|invariant)\w*)\(/.exec(line)?.[1];
      if (test) homes.set(test, (homes.get(test) ?? new Set()).add(contract));
    }
  }
  return homes;
}

/** The names of one kind of entry, of each contract. */
function abiNames(kind) {
  const names = (contract) => {
    const { abi } = JSON.parse(readFileSync(join(here, '..', 'protocol', 'abi', `${contract}.json`), 'utf8'));
    return new Set(abi.filter(({ type }) => type === kind).map(({ name }) => name));
  };
  return new Map(contracts.map((contract) => [contract, names(contract)]));
}

/** {depth, last, text, at} for each line below the first; null where one is no branch. */
function branchesOf(lines) {
  const branches = [];
  for (const [i, line] of lines.entries()) {
    const match = /^((?:│ {3}| {4})*)(├── |└── )(\S.*)$/u.exec(line);
    if (!match) return null;
    branches.push({ depth: match[1].length / 4, last: match[2].startsWith('└'), text: match[3], at: i + 2 });
  }
  return branches;
}

function checkShape(branches, say) {
  for (const [i, { depth, last, text, at }] of branches.entries()) {
    const above = i === 0 ? -1 : branches[i - 1].depth;
    if (depth > above + 1) say(at, 'is indented deeper than a child');
    const later = branches.slice(i + 1).findIndex((other) => other.depth <= depth);
    const sibling = later >= 0 && branches[i + 1 + later].depth === depth;
    if (sibling === last) say(at, last ? 'is not the last of its siblings' : 'is the last of its siblings: └──');
    const parent = i + 1 < branches.length && branches[i + 1].depth > depth;
    if (parent && !/^(given|when) /i.test(text)) say(at, 'has branches, so it starts with given or when');
    if (!parent && !/^it should /i.test(text)) say(at, 'has no branches, so it starts with "It should"');
  }
}

function checkTests(text, at, homes, say) {
  const names = [...text.matchAll(/`([^`]*)`/g)].map(([, name]) => name);
  if (names.length === 0) say(at, 'names no test');
  for (const full of names) {
    const [test, contract] = full.split('.').reverse();
    const found = [...(homes.get(test) ?? [])];
    if (contract ? !found.includes(contract) : found.length === 0) say(at, `no test ${full}`);
    else if (!contract && found.length > 1) say(at, `${full} is in ${found.join(' and ')}: say which`);
  }
}

const homes = testContracts();
const functions = abiNames('function');
const errors = abiNames('error');
const described = new Map(contracts.map((contract) => [contract, new Map()]));
const refused = new Map(contracts.map((contract) => [contract, new Set()]));
let leaves = 0;

for (const path of files(join(here, 'test', 'trees'), '.tree')) {
  const name = relative(here, path);
  const say = (at, what) => problems.push(`${name}:${at}: ${what}`);
  const [root, ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
  const [, contract, method] = /^(\w+)\.(\w+)$/.exec(root) ?? [];
  if (!contract) say(1, 'is not Contract.function');
  if (!contracts.includes(contract)) {
    if (contract && chosen.length === 0) say(1, `${contract} has no trees`);
    continue;
  }
  const before = described.get(contract).get(method);
  if (!functions.get(contract).has(method)) say(1, `${contract} has no function ${method}`);
  if (before) say(1, `${before} specifies it already`);
  described.get(contract).set(method, name);

  const branches = branchesOf(lines);
  if (!branches || branches.length === 0) {
    say(1, 'is followed by lines that are no branches, or by none');
    continue;
  }
  checkShape(branches, say);
  for (const { text, at } of branches.filter((branch) => /^it should /i.test(branch.text))) {
    leaves += 1;
    checkTests(text, at, homes, say);
    for (const [, error] of text.matchAll(/revert with ([A-Z]\w*)/g)) {
      if (errors.get(contract).has(error)) refused.get(contract).add(error);
      else say(at, `${contract} has no error ${error}`);
    }
  }
}

for (const contract of contracts) {
  for (const method of functions.get(contract)) {
    if (!described.get(contract).has(method)) problems.push(`${contract}.${method}: no tree`);
  }
  for (const error of errors.get(contract)) {
    if (!refused.get(contract).has(error)) problems.push(`${contract}: nothing reverts with ${error}`);
  }
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  console.error(`${problems.length} problems; the format is at the top of trees.mjs`);
  process.exit(1);
}
const trees = [...described.values()].reduce((sum, { size }) => sum + size, 0);
console.log(`${trees} trees, ${leaves} leaves, each with its tests`);
