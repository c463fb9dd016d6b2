// The vectors are what docs/solana.md says; protocol/tests/solana.rs holds the Rust side to the same file.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { SIGNED, addresses, caseId, digest, eventId, line, poolId } from './lines.mjs';

const { home, deals, messages, pools, cases, events, places } = JSON.parse(readFileSync(new URL('vectors.json', import.meta.url), 'utf8'));

test('every line and every address of the page is covered', () => {
  assert.deepEqual([...new Set(messages.map(({ name }) => name))].sort(), Object.keys(SIGNED).sort());
  assert.deepEqual([...new Set(places.map(({ name }) => name))].sort(), Object.keys(addresses).sort());
});

test('deals', () => {
  for (const { terms, expected } of deals) assert.equal(digest(home, 'terms', terms), expected.deal);
});

test('lines', () => {
  for (const { name, fields, expected } of messages) {
    if (name !== 'terms') assert.equal(digest(home, name, fields), expected.digest);
    assert.equal(line(name, expected.digest), expected.line);
  }
});

test('pools, cases, events and addresses', () => {
  for (const { book, expected } of pools) assert.equal(poolId(book), expected);
  for (const { expected, ...one } of cases) assert.equal(caseId(home.program, one), expected);
  for (const { expected, ...one } of events) assert.equal(eventId(one), expected);
  for (const { name, of, expected } of places) assert.equal(addresses[name](home.program, of), expected);
});

test('nothing else has the same digest', () => {
  const digests = [...deals.map(({ expected }) => expected.deal), ...messages.slice(0, -1).map(({ expected }) => expected.digest)];
  assert.equal(new Set(digests).size, digests.length);
});
