// Two instances: rulings that can be appealed, the parent's ruling, and cases that the parent hears alone.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Arbitration } from './client/arbitration.mjs';
import { STAGE, spanOf } from './client/case.mjs';
import { lastWord } from './client/jury.mjs';
import { DAY, HOUR } from './client/terms.mjs';
import { World, refused } from './client/world.mjs';

const world = await World.ofFile();
const { buyer, seller, stranger, chain } = world;
const court = new Arbitration(world);
const members = await court.jurors(18);
const parent = await court.pool(members, { jurySize: 5 });
// 2 × 5 + 2 + 2 × 3 members are just enough for two juries of the parent after two of the pool.
const pool = await court.pool(members, { parent: parent.id, appeal: 2 * DAY });

const AMOUNT = { amount: 1_000n };
const paid = ({ terms }, action) => world.gained(terms.asset, [seller.address, buyer.address], action);

/** A first jury that ruled; with it, when the ruling was accepted. */
async function ruled(share, changes = {}, { by = pool } = {}) {
  const jury = await court.drawn(by, { ...AMOUNT, ...changes });
  const { executableAt, time } = await court.submit(jury, [0, share], [1, share]);
  return { jury, made: jury.made, executableAt, acceptedAt: time };
}

/** Both parties' signatures of an offer to settle at 600, in the order of the call. */
async function offer({ deal, folded }, rulings) {
  const value = { deal, sellerTotal: 600n, status: 3, rulings, validUntil: (await chain.now()) + HOUR };
  const signatures = await Promise.all([buyer, seller].map((party) => world.escrow.sign(party, 'Settle', value)));
  return [folded, 600n, rulings, value.validUntil, ...signatures];
}

test('a ruling that nobody appeals is executed when the time for that is over', async () => {
  const { made, executableAt, acceptedAt } = await ruled(6_500);
  assert.equal(executableAt, acceptedAt + 2 * DAY + 1);
  assert.equal(await court.stage(made), STAGE.Accepted);
  assert.equal(await court.rulings(made), 1);
  await chain.at(executableAt - 1);
  await refused(court.call(stranger, 'execute', made), 'TooEarly', executableAt);
  await chain.at(executableAt);
  await refused(court.call(buyer, 'appeal', made), 'TooLate', executableAt - 1);
  assert.deepEqual(await paid(made, () => court.call(stranger, 'execute', made)), [650n, 350n]);
  assert.equal(await court.stage(made), STAGE.Executed);
});

test('an offer to settle dies when a ruling is accepted, and a new one names the ruling', async () => {
  const jury = await court.drawn(pool, AMOUNT);
  const early = await offer(jury.made, 0);
  await court.submit(jury, [0, 500], [1, 500]);
  await refused(world.act(stranger, 'settle', early), 'StateChanged');
  await refused(world.act(stranger, 'settle', early.with(2, 1)), 'InvalidSignature', buyer.address);
  const late = await offer(jury.made, 1);
  assert.deepEqual(await paid(jury.made, () => world.act(stranger, 'settle', late)), [600n, 400n]);
});

test('an appeal, by the party that lost, and the ruling of the parent', async () => {
  const { jury, made, acceptedAt } = await ruled(9_000);
  await refused(court.call(stranger, 'appeal', made), 'NotParty');
  const before = await offer(made, 1);
  const second = await court.appealed(jury, parent, buyer);
  assert.equal(second.endsAt, acceptedAt + 2 * DAY + spanOf(parent.book));
  await refused(court.call(seller, 'appeal', made), 'NotAccepted');
  await refused(court.call(stranger, 'execute', made), 'NotAccepted');
  assert.equal(await court.rulings(made), 1);
  // The parent's jurors vote as soon as they are drawn.
  await court.submit(second, [4, 1_000], [1, 1_000]);
  assert.deepEqual(await paid(made, async () => {
    const { executableAt } = await court.submit(second, [2, 1_000]);
    assert.equal(executableAt, 0);
  }), [100n, 900n]);
  assert.equal(await court.rulings(made), 2);
  await refused(world.act(stranger, 'settle', before), 'DealClosed');
  await refused(court.call(seller, 'appeal', made), 'AlreadyExecuted');
});

test('an appeal by signature', async () => {
  const { jury, made } = await ruled(0);
  const signed = async (wallet, validUntil) => {
    const signature = await world.pools.sign(wallet, 'Appeal', { deal: made.deal, validUntil });
    return [seller.address, validUntil, signature];
  };
  const validUntil = (await chain.now()) + 10;
  const values = await signed(seller, validUntil);
  await refused(court.call(stranger, 'appealBySig', made, ...(await signed(buyer, validUntil))), 'InvalidSignature', seller.address);
  await refused(court.call(stranger, 'appealBySig', made, ...values.with(0, stranger.address)), 'NotParty');
  await chain.at(validUntil + 1);
  await refused(court.call(stranger, 'appealBySig', made, ...values), 'SignatureExpired', validUntil);
  const { events } = await court.call(stranger, 'appealBySig', made, ...(await signed(seller, validUntil + HOUR)));
  assert.deepEqual(events.map(({ name }) => name), ['Appealed', 'CaseOpened']);
  assert.equal(events[0].args.by, seller.address);
  await chain.mine(2);
  const second = await court.draw(made, { pool: parent, instance: 1, target: Number(events[1].args.targetBlock) });
  for (const { address } of second.seats) assert.ok(jury.seats.every((seat) => seat.address !== address));
});

test('a silent appeal leaves the ruling; a half silent one bounds it', async () => {
  const silent = await ruled(8_000, { lapseShare: 0 });
  const unheard = await court.appealed(silent.jury, parent, buyer);
  await chain.at(unheard.endsAt + 1);
  assert.deepEqual(await paid(silent.made, () => court.call(stranger, 'conclude', silent.made)), [800n, 200n]);

  const half = await ruled(8_000, { lapseShare: 0 });
  const first = await court.appealed(half.jury, parent, buyer);
  await court.submit(first, [0, 1_000], [1, 2_000], [2, 9_000]);
  const secondFrom = first.endsAt - (HOUR + DAY) + 1;
  await chain.at(secondFrom);
  const second = await court.second(first, parent);
  const seated = [...half.jury.seats, ...first.seats].map(({ address }) => address);
  for (const { address } of second.seats) assert.ok(!seated.includes(address));
  await court.submit(second, [0, 7_000], [1, 0], [3, 3_000], [4, 7_500]);
  const share = lastWord(8_000, [first, second].map(({ word }) => ({ ballots: word, seats: 5 })));
  assert.equal(share, 7_000);
  await chain.at(first.endsAt + 1);
  assert.deepEqual(await paid(half.made, () => court.call(stranger, 'conclude', half.made)), [700n, 300n]);
});

test('a last word of the first instance can be appealed from the end of the instance', async () => {
  const jury = await court.drawn(pool, { ...AMOUNT, lapseShare: 10_000 });
  await court.submit(jury, [0, 1_000], [1, 4_000]);
  await chain.at(jury.endsAt + HOUR);
  const { events } = await court.call(stranger, 'conclude', jury.made);
  const { name, args } = events.at(-1);
  assert.deepEqual([name, Number(args.share), Number(args.executableAt)], ['RulingAccepted', 4_000, jury.endsAt + 2 * DAY + 1]);
  const second = await court.appealed(jury, parent, seller);
  assert.equal(second.endsAt, jury.endsAt + 2 * DAY + spanOf(parent.book));
});

test('no appeal where the time for it would run out', async () => {
  // T + appeal + the parent's span + 2 days is at most dispute + ruling, or there is none.
  const needed = 2 * DAY + spanOf(parent.book) + 2 * DAY;
  for (const spare of [0, -1]) {
    const ruling = needed + 10;
    const jury = await court.drawn(pool, { ...AMOUNT, ruling });
    await court.submit(jury, [0, 5_000]);
    await chain.at(jury.made.disputedAt + 10 - spare);
    const { executableAt, time } = await court.submit(jury, [1, 5_000]);
    assert.equal(executableAt, spare === 0 ? time + 2 * DAY + 1 : 0);
  }
});

test('no appeal where the parent could not seat two juries', async () => {
  const few = await court.pool(members.slice(0, 17), { jurySize: 5 });
  const alone = await court.pool(members, { parent: few.id, appeal: 2 * DAY });
  const { made, executableAt } = await ruled(5_000, {}, { by: alone });
  assert.equal(executableAt, 0);
  assert.equal(await court.stage(made), STAGE.Executed);
});

test('a pool without a list when the deal was funded leaves the case to its parent', async () => {
  const empty = await court.create(court.book({ parent: parent.id, appeal: 2 * DAY }));
  const made = await court.disputed(empty, AMOUNT);
  // Too late for this deal.
  await court.publish(empty, members);
  const target = await court.open(made);
  const jury = await court.draw(made, { pool: parent, instance: 1, target });
  assert.equal(jury.endsAt, made.disputedAt + spanOf(parent.book));
  assert.deepEqual(await paid(made, () => court.submit(jury, [0, 3_500], [1, 3_500], [3, 3_500])), [350n, 650n]);
  assert.equal(await court.rulings(made), 1);

  const orphan = await court.create(court.book());
  const nobody = await court.disputed(orphan, AMOUNT);
  await court.open(nobody);
  await refused(court.call(stranger, 'draw', nobody), 'NoList');
});

test('in the parent alone, silence is no ruling', async () => {
  const empty = await court.create(court.book({ parent: parent.id, appeal: 2 * DAY }));
  const made = await court.disputed(empty, { ...AMOUNT, lapseShare: 2_500 });
  const jury = await court.draw(made, { pool: parent, instance: 1, target: await court.open(made) });
  await chain.at(jury.endsAt + 1);
  await refused(court.call(stranger, 'conclude', made), 'NoBallots');
});

test('a last word that is concluded after the time to appeal it is executed at once', async () => {
  const jury = await court.drawn(pool, { ...AMOUNT, lapseShare: 10_000 });
  await court.submit(jury, [0, 1_000], [1, 4_000]);
  await chain.at(jury.endsAt + 3 * DAY);
  assert.deepEqual(await paid(jury.made, () => court.call(stranger, 'conclude', jury.made)), [400n, 600n]);
  assert.equal(await court.stage(jury.made), STAGE.Executed);
});
