// A deal from delivery to its end without a ruling: every action by the party itself and by its signature, every window.
import assert from 'node:assert/strict';
import test from 'node:test';
import { id } from 'ethers';
import { closedBy, raised } from './client/amounts.mjs';
import { STATUS } from './client/deal.mjs';
import { HOUR, fold } from './client/terms.mjs';
import { COIN, World, refused } from './client/world.mjs';

const world = await World.ofFile();
const { buyer, seller, stranger, chain, escrow } = world;

const soon = async () => (await chain.now()) + HOUR;
/** What `action` pays [seller, buyer] in the asset of the terms. */
const paid = ({ asset }, action) => world.gained(asset, [seller.address, buyer.address], action);

test('deliver, claim', async () => {
  const { terms, folded, deal } = await world.funded({ asset: COIN });
  await refused(world.act(buyer, 'deliver', [folded, id('parcel')]), 'NotSeller');
  await refused(world.act(stranger, 'claim', [folded]), 'NotDelivered');
  await chain.at(terms.deliverBy);
  const { time } = await world.act(seller, 'deliver', [folded, id('parcel')]);
  await refused(world.act(seller, 'deliver', [folded, id('parcel')]), 'AlreadyDelivered');
  await refused(world.act(stranger, 'reclaim', [folded]), 'AlreadyDelivered');
  await chain.at(time + terms.inspection);
  await refused(world.act(stranger, 'claim', [folded]), 'TooEarly', time + terms.inspection + 1);
  await chain.at(time + terms.inspection + 1);
  assert.deepEqual(await paid(terms, () => world.act(stranger, 'claim', [folded])), [terms.amount, 0n]);
  await refused(world.act(stranger, 'claim', [folded]), 'DealClosed');
  // Closed after fund_by: nothing is kept of it.
  assert.equal((await world.stateOf(deal)).status, STATUS.None);
});

test('a deal that closes before fund_by is kept as Closed', async () => {
  const { terms, folded, deal } = await world.funded();
  await world.act(seller, 'deliver', [folded, id('parcel')]);
  assert.deepEqual(await paid(terms, () => world.act(buyer, 'release', [folded, terms.amount])), [terms.amount, 0n]);
  assert.equal((await world.stateOf(deal)).status, STATUS.Closed);
  await refused(world.act(buyer, 'fund', [terms, await world.signTerms(terms)]), 'DealClosed');
});

test('deliver by signature', async () => {
  const { folded, deal } = await world.funded();
  const delivery = id('parcel');
  const validUntil = await soon();
  const value = { deal, delivery, validUntil };
  const values = [folded, delivery, validUntil, await escrow.sign(seller, 'Deliver', value)];
  await refused(world.act(stranger, 'deliverBySig', values.with(1, id('letter'))), 'InvalidSignature', seller.address);
  const { events } = await world.act(stranger, 'deliverBySig', values);
  assert.deepEqual(events[0].args, { deal, delivery, count: 2n });
});

test('not delivered in time: the buyer has everything back', async () => {
  const { terms, folded } = await world.funded();
  await chain.at(terms.deliverBy);
  await refused(world.act(stranger, 'reclaim', [folded]), 'TooEarly', terms.deliverBy + 1);
  await chain.at(terms.deliverBy + 1);
  await refused(world.act(seller, 'deliver', [folded, id('parcel')]), 'TooLate', terms.deliverBy);
  await refused(world.act(buyer, 'dispute', [folded, id('late')]), 'TooLate', terms.deliverBy);
  assert.deepEqual(await paid(terms, () => world.act(stranger, 'reclaim', [folded])), [0n, terms.amount]);
});

test('running totals are raised, clamped, and close the deal', async () => {
  const { terms, folded, deal } = await world.funded({ amount: 1_000n });
  await refused(world.act(seller, 'release', [folded, 1n]), 'NotBuyer');
  await refused(world.act(buyer, 'refund', [folded, 1n]), 'NotSeller');
  await refused(world.act(buyer, 'release', [folded, 1_001n]), 'TotalTooHigh', 1_001, 1_000);
  await refused(world.act(buyer, 'release', [folded, 0n]), 'NothingMoves');
  assert.deepEqual(await paid(terms, () => world.act(buyer, 'release', [folded, 300n])), [300n, 0n]);
  assert.deepEqual(await paid(terms, () => world.act(seller, 'refund', [folded, 200n])), [0n, 200n]);
  await refused(world.act(buyer, 'release', [folded, 300n]), 'NothingMoves');
  assert.deepEqual(await paid(terms, () => world.act(buyer, 'release', [folded, 450n])), [150n, 0n]);
  const last = raised(900n, 1_000n, 450n);
  assert.equal(last, 550n);
  assert.deepEqual(await paid(terms, () => world.act(seller, 'refund', [folded, 900n])), [0n, last - 200n]);
  const { status, released, refunded } = await world.stateOf(deal);
  assert.deepEqual({ status, released, refunded }, { status: STATUS.Closed, released: 450n, refunded: 550n });
  await refused(world.act(buyer, 'release', [folded, 1_000n]), 'DealClosed');
});

test('release and refund by signature; a signed refund can be taken back', async () => {
  const { terms, folded, deal } = await world.funded({ amount: 1_000n });
  const release = await escrow.sign(buyer, 'Release', { deal, total: 400n });
  const refund = await escrow.sign(seller, 'Refund', { deal, total: 500n });
  assert.deepEqual(await paid(terms, () => world.act(stranger, 'releaseBySig', [folded, 400n, release])), [400n, 0n]);
  await refused(world.act(stranger, 'releaseBySig', [folded, 400n, release]), 'NothingMoves');
  await refused(world.act(stranger, 'releaseBySig', [folded, 401n, release]), 'InvalidSignature', buyer.address);
  assert.deepEqual(await paid(terms, () => world.act(stranger, 'refundBySig', [folded, 500n, refund])), [0n, 500n]);
  const more = { deal, total: 600n };
  const digest = escrow.digest('Refund', more);
  await world.act(seller, 'revoke', [digest]);
  await refused(world.act(stranger, 'refundBySig', [folded, 600n, await escrow.sign(seller, 'Refund', more)]), 'SignatureRevoked', digest);
});

test('a metered channel: vouchers off chain, the last one redeemed', async () => {
  const { terms, folded, deal } = await world.funded({ amount: 1_000n, metered: true });
  await refused(world.act(seller, 'deliver', [folded, id('parcel')]), 'MeteredDeal');
  await refused(world.act(stranger, 'claim', [folded]), 'MeteredDeal');
  const vouchers = [];
  for (const total of [100n, 250n, 700n]) vouchers.push([folded, total, await escrow.sign(buyer, 'Release', { deal, total })]);
  // What the seller has earned stands, whatever the buyer takes back.
  await world.act(buyer, 'revoke', [escrow.digest('Release', { deal, total: 700n })]);
  await chain.at(terms.deliverBy + terms.inspection);
  await refused(world.act(buyer, 'reclaim', [folded]), 'TooEarly', terms.deliverBy + terms.inspection + 1);
  assert.deepEqual(await paid(terms, () => world.act(seller, 'releaseBySig', vouchers[2])), [700n, 0n]);
  await refused(world.act(seller, 'releaseBySig', vouchers[1]), 'NothingMoves');
  assert.deepEqual(await paid(terms, () => world.act(buyer, 'reclaim', [folded])), [0n, 300n]);
});

test('dispute and evidence, in person and by signature', async () => {
  const { folded, deal } = await world.funded();
  const validUntil = await soon();
  const dispute = { deal, evidence: id('broken'), validUntil };
  const values = [folded, buyer.address, dispute.evidence, validUntil, await escrow.sign(buyer, 'Dispute', dispute)];
  await refused(world.act(buyer, 'evidence', [folded, id('photo'), 'ipfs://photo']), 'NotDisputed');
  await refused(world.act(stranger, 'dispute', [folded, id('broken')]), 'NotParty');
  await refused(world.act(stranger, 'disputeBySig', values.with(1, stranger.address)), 'NotParty');
  await refused(world.act(stranger, 'disputeBySig', values.with(1, seller.address)), 'InvalidSignature', seller.address);
  const { events } = await world.act(stranger, 'disputeBySig', values);
  assert.deepEqual(events[0].args, { deal, by: buyer.address, evidence: id('broken'), count: 2n });
  await refused(world.act(seller, 'dispute', [folded, id('again')]), 'DealDisputed');
  await refused(world.act(seller, 'deliver', [folded, id('parcel')]), 'DealDisputed');
  await refused(world.act(stranger, 'claim', [folded]), 'DealDisputed');
  await refused(world.act(stranger, 'reclaim', [folded]), 'DealDisputed');

  const uri = 'ü€𝄞'.repeat(28);
  await world.act(buyer, 'evidence', [folded, id('photo'), uri]);
  await refused(world.act(buyer, 'evidence', [folded, id('photo'), `${uri}ipfs5`]), 'UriTooLong', 257);
  const shown = { deal, evidence: id('receipt'), uri: 'ipfs://receipt', validUntil };
  const signed = await escrow.sign(seller, 'Evidence', shown);
  const shownBySig = [folded, seller.address, shown.evidence, shown.uri, validUntil, signed];
  await refused(world.act(stranger, 'evidenceBySig', shownBySig.with(3, 'ipfs://other')), 'InvalidSignature', seller.address);
  const { events: [{ name, args }] } = await world.act(stranger, 'evidenceBySig', shownBySig);
  assert.deepEqual([name, args], ['Evidence', { deal, by: seller.address, evidence: shown.evidence, uri: shown.uri, count: 4n }]);
});

test('a dispute after delivery stops the clock of the claim; concessions go on', async () => {
  const { terms, folded } = await world.funded({ amount: 1_000n });
  const { time } = await world.act(seller, 'deliver', [folded, id('parcel')]);
  await chain.at(time + terms.inspection);
  await world.act(seller, 'dispute', [folded, id('unpaid')]);
  assert.deepEqual(await paid(terms, () => world.act(buyer, 'release', [folded, 100n])), [100n, 0n]);
  assert.deepEqual(await paid(terms, () => world.act(seller, 'refund', [folded, 900n])), [0n, 900n]);
});

test('too late to dispute once silence has answered', async () => {
  const { terms, folded } = await world.funded();
  const { time } = await world.act(seller, 'deliver', [folded, id('parcel')]);
  await chain.at(time + terms.inspection + 1);
  await refused(world.act(buyer, 'dispute', [folded, id('late')]), 'TooLate', time + terms.inspection);
});

test('the arbiter rules until the end of its time, and then the deal lapses', async () => {
  const arbiter = stranger;
  const ruled = await world.disputed({ amount: 1_001n, lapseShare: 3_333 });
  await refused(world.act(buyer, 'rule', [ruled.folded, 5_000]), 'NotArbiter');
  await refused(world.act(arbiter, 'rule', [ruled.folded, 10_001]), 'ShareOutOfRange');
  const lapsing = await world.disputed({ amount: 1_001n, lapseShare: 3_333 });
  await world.act(buyer, 'release', [lapsing.folded, 1n]);
  await refused(world.act(arbiter, 'lapse', [ruled.folded]), 'TooEarly', ruled.disputedAt + ruled.terms.ruling + 1);
  await chain.at(ruled.disputedAt + ruled.terms.ruling);
  assert.deepEqual(await paid(ruled.terms, () => world.act(arbiter, 'rule', [ruled.folded, 9_999])), [1_000n, 1n]);
  const closedAt = lapsing.disputedAt + lapsing.terms.ruling;
  await chain.at(closedAt + 1);
  await refused(world.act(arbiter, 'rule', [lapsing.folded, 5_000]), 'TooLate', closedAt);
  // 1,001 × 33.33 % is 333; one of them is released already.
  assert.deepEqual(await paid(lapsing.terms, () => world.act(buyer, 'lapse', [lapsing.folded])), [332n, 668n]);
});

/** An offer to settle, and the values of the call by which nobody in person agrees. */
async function offer({ deal, folded }, status, { sellerTotal = 600n, rulings = 0 } = {}) {
  const validUntil = await soon();
  const value = { deal, sellerTotal, status, rulings, validUntil };
  const signatures = [await escrow.sign(buyer, 'Settle', value), await escrow.sign(seller, 'Settle', value)];
  return [folded, sellerTotal, rulings, validUntil, ...signatures];
}

test('settle: by both signatures, and by one and the other in person', async () => {
  const amount = 1_000n;
  const both = await world.funded({ amount });
  const values = await offer(both, STATUS.Funded);
  await refused(world.act(stranger, 'settle', values.with(4, '0x')), 'InvalidSignature', buyer.address);
  await refused(world.act(stranger, 'settle', values.with(1, 601n)), 'InvalidSignature', buyer.address);
  const tooMuch = await offer(both, STATUS.Funded, { sellerTotal: 1_001n });
  await refused(world.act(stranger, 'settle', tooMuch), 'TotalTooHigh', 1_001, 1_000);
  assert.deepEqual(await paid(both.terms, () => world.act(stranger, 'settle', values)), [600n, 400n]);

  const byBuyer = await world.funded({ amount });
  const forBuyer = (await offer(byBuyer, STATUS.Funded)).with(4, '0x');
  assert.deepEqual(await paid(byBuyer.terms, () => world.act(buyer, 'settle', forBuyer)), [600n, 400n]);
  const bySeller = await world.funded({ amount });
  const forSeller = (await offer(bySeller, STATUS.Funded)).with(5, '0x');
  assert.deepEqual(await paid(bySeller.terms, () => world.act(seller, 'settle', forSeller)), [600n, 400n]);
});

test('settle: a total is clamped to what was paid already', async () => {
  const { terms, folded, deal } = await world.funded({ amount: 1_000n });
  await world.act(buyer, 'release', [folded, 700n]);
  const expected = closedBy(600n, terms, { released: 700n, refunded: 0n });
  assert.deepEqual(expected, { released: 700n, refunded: 300n });
  await world.act(stranger, 'settle', await offer({ deal, folded }, STATUS.Funded));
  const { released, refunded } = await world.stateOf(deal);
  assert.deepEqual({ released, refunded }, expected);
});

test('settle: an offer of one state is worth nothing in the next, and ends', async () => {
  const made = await world.funded({ amount: 1_000n });
  const funded = await offer(made, STATUS.Funded);
  await world.act(seller, 'deliver', [made.folded, id('parcel')]);
  await refused(world.act(stranger, 'settle', funded), 'InvalidSignature', buyer.address);
  const delivered = await offer(made, STATUS.Delivered);
  await world.act(buyer, 'dispute', [made.folded, id('broken')]);
  await refused(world.act(stranger, 'settle', delivered), 'InvalidSignature', buyer.address);
  // The arbiter is a key: it counts as having ruled nothing.
  await refused(world.act(stranger, 'settle', await offer(made, STATUS.Disputed, { rulings: 1 })), 'StateChanged');
  const values = await offer(made, STATUS.Disputed);
  await chain.at(values[3] + 1);
  await refused(world.act(stranger, 'settle', values), 'SignatureExpired', values[3]);
  await world.act(stranger, 'settle', await offer(made, STATUS.Disputed));
});

test('signatures of another deal, and of terms that nobody funded', async () => {
  const one = await world.funded({ amount: 1_000n });
  const two = await world.funded({ amount: 1_000n });
  const release = await escrow.sign(buyer, 'Release', { deal: one.deal, total: 10n });
  await refused(world.act(stranger, 'releaseBySig', [two.folded, 10n, release]), 'InvalidSignature', buyer.address);
  const unfunded = fold(await world.terms());
  await refused(world.act(buyer, 'release', [unfunded, 1n]), 'UnknownDeal');
  await refused(world.act(buyer, 'release', [{ ...one.folded, amount: 2_000n }, 1_500n]), 'UnknownDeal');
});

test('a batch of signed actions, and more than 255 events of one deal', async () => {
  const { terms, folded, deal } = await world.funded({ amount: 1_000n });
  const face = chain.faceOf(escrow.address);
  const batch = (from, calls, options) =>
    world.act(from, 'batch', [calls.map(([call, ...values]) => face.encodeFunctionData(call, values))], options);
  const validUntil = await soon();
  const delivery = id('parcel');
  const delivered = await escrow.sign(seller, 'Deliver', { deal, delivery, validUntil });
  const released = await escrow.sign(buyer, 'Release', { deal, total: 100n });
  const calls = [['deliverBySig', folded, delivery, validUntil, delivered], ['releaseBySig', folded, 100n, released]];
  await refused(batch(stranger, [...calls, ['claim', folded]]), 'TooEarly', (await chain.now()) + 1 + terms.inspection + 1);
  assert.deepEqual(await paid(terms, () => batch(stranger, calls)), [100n, 0n]);

  await world.act(buyer, 'dispute', [folded, id('broken')]);
  const shown = Array.from({ length: 260 }, (_, number) => ['evidence', folded, id(`photo ${number}`), '']);
  const { events } = await batch(buyer, shown, { gas: 29_000_000 });
  assert.equal(Number(events.at(-1).args.count), (4 + 260) % 256);
  assert.equal((await world.stateOf(deal)).count, 8);
});

test('a signed release that is taken back', async () => {
  const { folded, deal } = await world.funded();
  const value = { deal, total: 1n };
  const digest = escrow.digest('Release', value);
  await world.act(buyer, 'revoke', [digest]);
  await refused(world.act(stranger, 'releaseBySig', [folded, 1n, await escrow.sign(buyer, 'Release', value)]), 'SignatureRevoked', digest);
});
