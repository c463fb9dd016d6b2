// ethers.js agrees with vectors.json; protocol/tests/ethers.rs holds the Rust side to the same file.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { verifyTypedData } from 'ethers';
import { OUTPUTS, TYPES, domainOf } from './typed-data.mjs';

const vectors = JSON.parse(readFileSync(new URL('vectors.json', import.meta.url), 'utf8'));

test('every list is known and none is empty', () => {
  assert.deepEqual(Object.keys(vectors).sort(), Object.keys(OUTPUTS).sort());
  for (const list of Object.values(vectors)) assert.ok(list.length > 0);
});

test('every signed type is covered', () => {
  const covered = new Set(['Terms', ...vectors.messages.map(({ type }) => type)]);
  assert.deepEqual([...covered].sort(), Object.keys(TYPES).sort());
});

for (const [list, compute] of Object.entries(OUTPUTS)) {
  for (const [number, { expected, ...inputs }] of (vectors[list] ?? []).entries()) {
    test(`${list} ${number}${inputs.type ? ` (${inputs.type})` : ''}`, () => {
      assert.deepEqual(compute(inputs), expected);
    });
  }
}

test('a wallet that is shown the typed data signs these digests', () => {
  for (const { contract, type, value, expected } of vectors.messages) {
    assert.equal(verifyTypedData(domainOf(type, contract), TYPES[type], value, expected.signature), expected.signer);
  }
});

test('nothing else has the same digest', () => {
  const digests = [...vectors.deals.map(({ expected }) => expected.deal), ...vectors.messages.map(({ expected }) => expected.digest)];
  assert.equal(new Set(digests).size, digests.length);
});
