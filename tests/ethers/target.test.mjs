// Draws long after the target block, on a chain that remembers 256 hashes and on one that keeps more (EIP-2935).
import assert from 'node:assert/strict';
import test from 'node:test';
import { Arbitration } from './client/arbitration.mjs';
import { World, refused } from './client/world.mjs';

/** A case opened before a pool, on a chain with more arguments for anvil. */
async function opened(context, ...more) {
  const world = await World.start(...more);
  context.after(() => world.stop());
  const court = new Arbitration(world);
  const pool = await court.pool(await court.jurors(9));
  const made = await court.disputed(pool);
  return { world, court, pool, made, target: await court.open(made) };
}

test('a target whose hash is gone moves to the first later block a multiple of 256 away', async (context) => {
  const { world, court, pool, made, target } = await opened(context, '--hardfork', 'cancun');
  const { chain, stranger } = world;
  await chain.mine(256);
  const { block, events: [{ name, args }, ...more] } = await court.call(stranger, 'draw', made);
  assert.equal(more.length, 0);
  const moved = Number(args.targetBlock);
  assert.deepEqual([name, moved], ['TargetMoved', target + 512]);
  assert.ok(block > target + 256);
  await refused(court.call(stranger, 'draw', made), 'TooEarly', moved + 1);
  await chain.mine(moved - (await chain.blockNumber()));
  await court.draw(made, { pool, target: moved });
});

test('with the history contract the draw is by the same hash, however late', async (context) => {
  const { world, court, pool, made, target } = await opened(context, '--hardfork', 'prague');
  await world.chain.mine(300);
  await court.draw(made, { pool, target });
});
