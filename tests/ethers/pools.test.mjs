// Rule books and lists of members.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ZeroHash, id } from 'ethers';
import { Arbitration, poolIdOf } from './client/arbitration.mjs';
import { poolsFrom, spanOf } from './client/case.mjs';
import { DAY, HOUR } from './client/terms.mjs';
import { World, plain, refused } from './client/world.mjs';

const world = await World.ofFile();
const { keeper, stranger, chain } = world;
const court = new Arbitration(world);
const members = await court.jurors(10);

const read = (call, ...values) => chain.read(court.at, call, values);
const create = (changes) => world.judge(stranger, 'createPool', [court.book(changes)]);

test('a pool is its rule book', async () => {
  const book = court.book({ jurySize: 31, delay: 5, opening: 60, voting: 1 });
  assert.equal(await read('poolId', book), poolIdOf(book));
  await refused(world.chain.send(keeper, court.at, 'publish', [poolIdOf(book), []]), 'UnknownPool');
  const pool = await court.create(book);
  assert.deepEqual(plain((await read('bookOf', pool.id)).toObject()), book);
  await refused(world.judge(stranger, 'createPool', [book]), 'PoolExists');
});

test('rule books that break a rule', async () => {
  for (const jurySize of [0, 2, 33]) await refused(create({ jurySize }), 'BadJurySize', jurySize);
  const periods = [{ delay: 366 * DAY + 1 }, { opening: 59 }, { opening: 30 * DAY + 1 }, { voting: 0 }, { voting: 90 * DAY + 1 }];
  for (const period of periods) await refused(create(period), 'BadPeriod');
  await refused(create({ parent: id('no pool'), appeal: DAY }), 'BadParent');
  await refused(create({ appeal: DAY }), 'BadParent');
  const parent = await court.create(court.book());
  await refused(create({ parent: parent.id }), 'BadParent');
  await refused(create({ parent: parent.id, appeal: 90 * DAY + 1 }), 'BadPeriod');
});

test('the worst case', async () => {
  const parent = await court.create(court.book({ opening: 2 * HOUR, voting: 3 * DAY }));
  const pool = await court.create(court.book({ parent: parent.id, appeal: 5 * DAY }));
  assert.equal(Number(await read('worstCase', parent.id)), spanOf(parent.book) + DAY);
  assert.equal(Number(await read('worstCase', pool.id)), spanOf(pool.book) + DAY + 5 * DAY + spanOf(parent.book) + 2 * DAY);
});

test('lists of one page and of several, the newest in effect', async () => {
  const pool = await court.create(court.book({ delay: 100 }));
  const publish = (pages, from = keeper) => world.judge(from, 'publish', [pool.id, pages]);
  const whole = await court.page(members);
  const halves = [await court.page(members.slice(0, 5)), await court.page(members.slice(5))];
  await refused(publish([whole], stranger), 'NotKeeper');
  await refused(publish([halves[0]]), 'TooFewMembers', 5, 8);
  await refused(publish([halves[1], halves[0]]), 'ListNotAscending', 5);
  await refused(publish([stranger.address]), 'BadPage', stranger.address);
  await refused(publish([court.at]), 'BadPage', court.at);

  const { time, events: [{ args }] } = await publish([whole]);
  assert.deepEqual(plain(args), { pool: pool.id, list: 0, size: 10, effectiveAt: time + 100, pages: [whole] });
  await publish(halves);
  const addresses = members.map(({ address }) => address);
  for (const list of [0, 1]) assert.deepEqual([...await read('membersOf', pool.id, list)], addresses);
  assert.equal(Number(await read('listCount', pool.id)), 2);
  const [one, two] = poolsFrom(world.eventsOf(world.pools)).get(pool.id).lists;
  assert.equal(Number(await read('listAt', pool.id, two.effectiveAt - 1)), one.list);
  assert.equal(Number(await read('listAt', pool.id, two.effectiveAt)), two.list);
});

test('a page is kept whole and in order', async () => {
  const addresses = members.map(({ address }) => address);
  const store = (list) => world.judge(stranger, 'storePage', [list]);
  const twice = [addresses[0], addresses[0], ...addresses.slice(1)];
  await refused(store(twice), 'ListNotAscending', 1);
  await refused(store([addresses[1], addresses[0]]), 'ListNotAscending', 1);
});

test('the domain is the one that is signed under', async () => {
  const { name, version, chainId, verifyingContract, salt } = (await read('eip712Domain')).toObject();
  assert.deepEqual([name, version, Number(chainId), verifyingContract, salt],
    ['Earnest Arbitration Pools', '1', chain.chainId, court.at, ZeroHash]);
});
