// The records that the hub promises to read for ever: another implementation gives them the same ids and finds them signed.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { Device, idOf, isGenuine } from './client/account.mjs';

const folder = new URL('../../hub/src/records/tests/golden/', import.meta.url);
const records = readdirSync(folder).map((name) => [name, JSON.parse(readFileSync(new URL(name, folder), 'utf8'))]);

test("the hub's records have these ids and are signed", () => {
  assert.ok(records.length > 50, `${records.length} records`);
  for (const [name, record] of records) {
    assert.equal(idOf(record), record.id, name);
    assert.ok(isGenuine(record), name);
    assert.ok(!isGenuine({ ...record, created: '2026-11-21T10:00:01Z' }), name);
  }
});

test('a record of ours is one of theirs', () => {
  const record = new Device().record('profile@1', null, { name: 'Gärtnerin', text: '', languages: ['de'], avatar: null });
  assert.equal(idOf(record), record.id);
  assert.ok(isGenuine(record));
  assert.deepEqual(Object.keys(record).sort(), Object.keys(records.find(([name]) => name === 'profile@1.json')[1]).sort());
});
