// One instance of a case: opening, drawing, every kind of ballot, the second jury, the last word, and no word at all.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ZeroHash, dataSlice, getAddress, id } from 'ethers';
import { Arbitration } from './client/arbitration.mjs';
import { STAGE } from './client/case.mjs';
import { lastWord } from './client/jury.mjs';
import { DAY, HOUR } from './client/terms.mjs';
import { World, refused } from './client/world.mjs';

const world = await World.ofFile();
const { buyer, seller, stranger, chain } = world;
const court = new Arbitration(world);
const both = [...(await court.jurors(12)), buyer, seller];
const pool = await court.pool(both.sort((a, b) => (a.address.toLowerCase() < b.address.toLowerCase() ? -1 : 1)));

const paid = ({ terms }, action) => world.gained(terms.asset, [seller.address, buyer.address], action);

test('open and draw', async () => {
  const changes = { arbiter: court.at, panel: pool.id };
  const quiet = await world.funded(changes);
  await refused(world.judge(stranger, 'open', [court.escrow, quiet.deal]), 'NotDisputed');
  await refused(court.call(stranger, 'draw', quiet), 'UnknownCase');
  const made = await court.disputed(pool);
  const { events: [{ args }] } = await world.judge(stranger, 'open', [court.escrow, made.deal]);
  const target = Number(args.targetBlock);
  await refused(world.judge(stranger, 'open', [court.escrow, made.deal]), 'CaseExists');
  assert.equal(await chain.blockNumber(), target - 1);
  await refused(court.call(stranger, 'draw', made), 'TooEarly', target + 1);
  await refused(court.call(stranger, 'submit', made, 0, []), 'NotDrawn');
  assert.equal(await court.stage(made), STAGE.Open);
  const jury = await court.draw(made, { pool, target });
  assert.equal(await court.stage(made), STAGE.Drawn);
  await refused(court.call(stranger, 'draw', made), 'AlreadyDrawn');
  for (const { address } of jury.seats) assert.ok(![buyer.address, seller.address].includes(address));

  const elsewhere = await world.disputed({ panel: pool.id });
  await court.open(elsewhere);
  await refused(court.call(stranger, 'draw', elsewhere), 'NotMyDeal');
});

test('ballots handed in at once rule and pay in one transaction', async () => {
  const jury = await court.drawn(pool, { amount: 1_000n });
  const [toSeller, toBuyer] = await paid(jury.made, async () => {
    const { executableAt } = await court.submit(jury, [2, 7_000], [0, 7_000]);
    assert.equal(executableAt, 0);
  });
  assert.deepEqual([toSeller, toBuyer], [700n, 300n]);
  assert.equal(await court.stage(jury.made), STAGE.Executed);
  assert.equal(await court.rulings(jury.made), 1);
  await refused(court.call(stranger, 'execute', jury.made), 'AlreadyExecuted');
  await refused(court.call(stranger, 'submit', jury.made, 0, [await court.ballot(jury, 1, 0)]), 'AlreadyAccepted');
  await refused(court.call(seller, 'appeal', jury.made), 'AlreadyExecuted');
});

test('ballots handed in by steps narrow the bounds', async () => {
  const five = await court.pool(pool.members, { jurySize: 5 });
  const jury = await court.drawn(five, { amount: 1_000n });
  const steps = [[3, 10_000], [1, 0], [4, 2_500], [2, 5_000]];
  for (const step of steps) assert.equal((await court.submit(jury, step)).name, 'BallotsCounted');
  await refused(court.call(stranger, 'execute', jury.made), 'NotAccepted');
  // The median can still be 2,500 to 5,000: the fifth ballot decides.
  assert.deepEqual(await paid(jury.made, () => court.submit(jury, [0, 10_000])), [500n, 500n]);
});

test('ballots that do not count', async () => {
  const jury = await court.drawn(pool);
  const { made } = jury;
  const submit = (...ballots) => court.call(stranger, 'submit', made, 0, ballots);
  await refused(submit(), 'NoBallots');
  await refused(submit(await court.ballot(jury, 0, 501)), 'BadShare', 501);
  await refused(submit(await court.ballot(jury, 0, 10_500)), 'BadShare', 10_500);
  await refused(submit({ ...(await court.ballot(jury, 0, 500)), seat: 3 }), 'BadSeat', 3);
  await refused(submit(await court.ballot(jury, 0, 500, { wallet: stranger })), 'InvalidBallot', 0);
  await refused(submit({ ...(await court.ballot(jury, 0, 500)), share: 1_000 }), 'InvalidBallot', 0);
  const another = await court.drawn(pool);
  const elsewhere = { ...jury, caseId: another.caseId };
  await refused(submit(await court.ballot(elsewhere, 0, 500)), 'InvalidBallot', 0);
  await refused(court.call(stranger, 'cast', made, 0, 0, 500, ZeroHash), 'NotJuror', 0);
  await refused(court.call(jury.seats[0], 'cast', made, 0, 1, 500, ZeroHash), 'NotJuror', 1);
  await refused(court.call(stranger, 'submit', made, 1, [await court.ballot(jury, 0, 500)]), 'NotDrawn');
  await court.submit(jury, [0, 500]);
  await refused(submit(await court.ballot(jury, 0, 500)), 'NoBallots');
  // Only the share is kept: the same share for another reason is the same ballot.
  await refused(submit(await court.ballot(jury, 0, 500, { reason: id('another reason') })), 'NoBallots');
});

test('who signs two shares loses the seat; who casts, replaces what it signed', async () => {
  const jury = await court.drawn(pool, { amount: 1_000n });
  await court.submit(jury, [0, 500], [0, 1_000]);
  await court.submit(jury, [1, 500]);
  await refused(court.call(jury.seats[0], 'cast', jury.made, 0, 0, 500, ZeroHash), 'SeatVoid', 0);
  await refused(court.call(stranger, 'submit', jury.made, 0, [await court.ballot(jury, 0, 1_500)]), 'NoBallots');
  await court.cast(jury, 1, 2_000);
  await refused(court.call(jury.seats[1], 'cast', jury.made, 0, 1, 2_000, ZeroHash), 'SeatFinal', 1);
  await refused(court.call(stranger, 'submit', jury.made, 0, [await court.ballot(jury, 1, 5_000)]), 'NoBallots');
  assert.deepEqual(await paid(jury.made, () => court.cast(jury, 2, 2_000)), [200n, 800n]);
});

test('a juror that is a contract casts', async () => {
  const wallets = [];
  for (let number = 0; number < 8; number += 1) wallets.push({ address: await world.other('Account', stranger.address) });
  wallets.sort((a, b) => (a.address.toLowerCase() < b.address.toLowerCase() ? -1 : 1));
  const contracts = await court.pool(wallets);
  const jury = await court.drawn(contracts, { amount: 1_000n });
  for (const seat of [0, 1]) {
    const data = chain.faceOf(court.at).encodeFunctionData('cast', [court.escrow, jury.made.terms, 0, seat, 5_500, ZeroHash]);
    await world.via(stranger, jury.seats[seat].address, 'act', [court.at, 0n, data]);
  }
  assert.equal(await court.stage(jury.made), STAGE.Executed);
});

test('a second jury, and the first of the two that agrees rules', async () => {
  for (const decider of [0, 1]) {
    const first = await court.drawn(pool, { amount: 1_000n });
    await court.submit(first, [0, 3_000]);
    const secondAt = first.endsAt - (HOUR + DAY);
    await chain.at(secondAt);
    await refused(court.call(stranger, 'openSecondJury', first.made), 'TooEarly', secondAt + 1);
    const second = await court.second(first, pool);
    await refused(court.call(stranger, 'openSecondJury', first.made), 'NoFurtherJury');
    for (const { address } of second.seats) assert.ok(first.seats.every((seat) => seat.address !== address));
    await court.submit(second, [1, 8_000]);
    await chain.at(first.endsAt);
    const [jury, share] = decider === 0 ? [first, 3_000] : [second, 8_000];
    const rest = decider === 0 ? 1 : 0;
    assert.deepEqual(await paid(first.made, () => court.submit(jury, [rest, share])), [BigInt(share / 10), 1_000n - BigInt(share / 10)]);
    assert.equal(await court.rulings(first.made), 1);
  }
});

test('the last word: lapse_share within what both juries said', async () => {
  const first = await court.drawn(pool, { amount: 1_000n, lapseShare: 2_000 });
  await court.submit(first, [0, 3_000], [2, 6_000]);
  await chain.at(first.endsAt - HOUR);
  const second = await court.second(first, pool);
  await court.submit(second, [0, 4_500], [1, 10_000]);
  await chain.at(first.endsAt);
  await refused(court.call(stranger, 'conclude', first.made), 'TooEarly', first.endsAt + 1);
  const late = await court.ballot(first, 1, 0);
  await chain.at(first.endsAt + 1);
  await refused(court.call(stranger, 'submit', first.made, 0, [late]), 'TooLate', first.endsAt);
  const share = lastWord(2_000, [first, second].map(({ word }) => ({ ballots: word, seats: 3 })));
  assert.equal(share, 4_500);
  assert.deepEqual(await paid(first.made, () => court.call(stranger, 'conclude', first.made)), [450n, 550n]);
});

test('without any ballot there is no last word, and the deal lapses', async () => {
  const jury = await court.drawn(pool, { amount: 1_000n, lapseShare: 1_500, ruling: 30 * DAY });
  await chain.at(jury.endsAt + 1);
  await refused(court.call(stranger, 'conclude', jury.made), 'NoBallots');
  await chain.at(jury.made.disputedAt + 30 * DAY + 1);
  assert.deepEqual(await paid(jury.made, () => world.act(stranger, 'lapse', [jury.made.folded])), [150n, 850n]);
});

test('an instance is cut short by the end of the ruling', async () => {
  const jury = await court.drawn(pool, { ruling: DAY });
  assert.equal(jury.endsAt, jury.made.disputedAt + DAY);
});

test('a settlement takes the case out of the hands of its jury', async () => {
  const jury = await court.drawn(pool);
  const { made } = jury;
  const value = { deal: made.deal, sellerTotal: 1n, status: 3, rulings: 0, validUntil: (await chain.now()) + HOUR };
  const signatures = await Promise.all([buyer, seller].map((party) => world.escrow.sign(party, 'Settle', value)));
  await world.act(stranger, 'settle', [made.folded, 1n, 0, value.validUntil, ...signatures]);
  await refused(court.submit(jury, [0, 5_000], [1, 5_000]), 'NotDisputed');
  assert.equal(await court.stage(made), STAGE.Drawn);
});

test('no second jury where the first was never drawn', async () => {
  const made = await court.disputed(pool);
  await court.open(made);
  await chain.at(made.disputedAt + HOUR + DAY + 1);
  await refused(court.call(stranger, 'openSecondJury', made), 'NotDrawn');
  await chain.at(made.disputedAt + 2 * (HOUR + DAY) + 1);
  await refused(court.call(stranger, 'conclude', made), 'NotDrawn');
  await refused(court.call(stranger, 'draw', made), 'TooLate', made.disputedAt + 2 * (HOUR + DAY));
});

test('31 jurors of 1,300 members on two pages', async () => {
  const size = 1_300;
  const members = Array.from({ length: size }, (_, number) => getAddress(dataSlice(id(`member ${number}`), 12)))
    .sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1))
    .map((address) => ({ address }));
  const large = await court.create(court.book({ jurySize: 31 }));
  const pages = [await court.page(members.slice(0, 1_200)), await court.page(members.slice(1_200))];
  await world.judge(world.keeper, 'publish', [large.id, pages]);
  large.members = members;
  const jury = await court.drawn(large);
  assert.equal(jury.seats.length, 31);
  assert.ok(jury.seats.some((seat) => members.indexOf(seat) < 1_200));
});
