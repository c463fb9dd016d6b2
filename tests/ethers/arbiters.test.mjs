// The two other arbiters: one account that rules, and a court of others that speaks ERC-792.
import assert from 'node:assert/strict';
import test from 'node:test';
import { AbiCoder, id, keccak256 } from 'ethers';
import { EARNEST } from './client/artefacts.mjs';
import { HOUR, panelOf } from './client/terms.mjs';
import { World, refused } from './client/world.mjs';

const world = await World.ofFile();
const { buyer, seller, stranger, keeper, chain, escrow } = world;

const AMOUNT = { amount: 1_000n };
const paid = ({ terms }, action) => world.gained(terms.asset, [seller.address, buyer.address], action);

/** What a mediator signs. */
function signRuling(wallet, verifyingContract, value) {
  const domain = { name: 'Earnest Mediator', version: '1', chainId: chain.chainId, verifyingContract };
  const fields = [['bytes32', 'deal'], ['uint16', 'share'], ['uint40', 'validUntil']].map(([type, name]) => ({ type, name }));
  return wallet.signTypedData(domain, { Ruling: fields }, value);
}

test('a mediator rules in person', async () => {
  const mediator = await chain.deploy(stranger, EARNEST.Mediator);
  const rule = (from, { terms }, share) => world.via(from, mediator, 'rule', [escrow.address, terms, share]);
  const arbitrated = { ...AMOUNT, arbiter: mediator, panel: panelOf(keeper.address) };
  const quiet = await world.funded(arbitrated);
  await refused(rule(keeper, quiet, 5_000), 'NotDisputed');
  const made = await world.disputed(arbitrated);
  await refused(rule(stranger, made, 5_000), 'NotMediator');
  await refused(rule(keeper, made, 10_001), 'BadShare', 10_001);
  assert.deepEqual(await paid(made, () => rule(keeper, made, 7_777)), [777n, 223n]);
  assert.equal(await chain.read(mediator, 'rulings', [escrow.address, made.deal]), 0n);

  await refused(rule(keeper, await world.disputed(), 5_000), 'NotMyDeal');
  const nobody = await world.disputed({ ...arbitrated, panel: id('not an account') });
  await refused(rule(keeper, nobody, 5_000), 'BadPanel');
  const partial = await world.disputed({ ...arbitrated, panel: panelOf(seller.address) });
  await refused(rule(seller, partial, 5_000), 'SameParty');
});

test('a mediator rules by signature, a wallet too', async () => {
  const mediator = await chain.deploy(stranger, EARNEST.Mediator);
  const wallet = await world.other('Account', keeper.address);
  for (const account of [keeper.address, wallet]) {
    const made = await world.disputed({ ...AMOUNT, arbiter: mediator, panel: panelOf(account) });
    const send = (share, validUntil, signature) => world.via(
      stranger, mediator, 'ruleBySig', [escrow.address, made.terms, share, validUntil, signature],
    );
    const validUntil = (await chain.now()) + HOUR;
    const signature = await signRuling(keeper, mediator, { deal: made.deal, share: 250, validUntil });
    await refused(send(251, validUntil, signature), 'InvalidSignature', account);
    const past = (await chain.now()) - 1;
    const stale = await signRuling(keeper, mediator, { deal: made.deal, share: 250, validUntil: past });
    await refused(send(250, past, stale), 'SignatureExpired', past);
    assert.deepEqual(await paid(made, () => send(250, validUntil, signature)), [25n, 975n]);
  }
});

test('a mediator is too late', async () => {
  const mediator = await chain.deploy(stranger, EARNEST.Mediator);
  const made = await world.disputed({ ...AMOUNT, arbiter: mediator, panel: panelOf(keeper.address) });
  const closedAt = made.disputedAt + made.terms.ruling;
  await chain.at(closedAt + 1);
  await refused(world.via(keeper, mediator, 'rule', [escrow.address, made.terms, 5_000]), 'TooLate', closedAt);
  await world.act(stranger, 'lapse', [made.folded]);
});

const PRICE = 10n ** 15n;

/** A court's arbitrator, the adapter, and a dispute before them. */
async function brought(changes = {}) {
  const arbitrator = await world.other('CentralizedArbitratorWithAppeal');
  const adapter = await chain.deploy(stranger, EARNEST.CourtArbiter);
  const court = { arbitrator, extraData: '0x1234', metaEvidence: 'ipfs://meta' };
  const panel = keccak256(AbiCoder.defaultAbiCoder().encode(['tuple(address, bytes, string)'], [Object.values(court)]));
  assert.equal(await chain.read(adapter, 'panelOf', [court]), panel);
  const made = await world.disputed({ ...AMOUNT, arbiter: adapter, panel, ...changes });
  const call = (from, name, values = [], value = 0n) => world.via(from, adapter, name, [escrow.address, made.terms, ...values], { value });
  const rulings = () => chain.read(adapter, 'rulings', [escrow.address, made.deal]);
  return { arbitrator, adapter, court, panel, made, call, rulings };
}

test('a court rules, after an appeal', async () => {
  const { arbitrator, adapter, court, panel, made, call, rulings } = await brought();
  await refused(call(stranger, 'open', [{ ...court, metaEvidence: 'ipfs://other' }], PRICE), 'WrongCourt');
  await refused(call(stranger, 'open', [court], PRICE - 1n), 'WrongValue', PRICE - 1n, PRICE);
  await refused(call(seller, 'submitEvidence', ['ipfs://receipt']), 'UnknownCase');
  const { events } = await call(stranger, 'open', [court], PRICE);
  const group = BigInt(keccak256(AbiCoder.defaultAbiCoder().encode(['address', 'bytes32'], [escrow.address, made.deal])));
  const ours = events.filter(({ address }) => address === adapter.toLowerCase());
  assert.deepEqual(Object.fromEntries(ours.map(({ name, args }) => [name, args])), {
    CaseOpened: { deal: made.deal, escrow: escrow.address, arbitrator, dispute: 0n },
    MetaEvidence: { metaEvidence: BigInt(panel), uri: court.metaEvidence },
    Dispute: { arbitrator, dispute: 0n, metaEvidence: BigInt(panel), evidenceGroup: group },
  });
  await refused(call(stranger, 'open', [court], PRICE), 'CaseExists');

  await refused(call(stranger, 'submitEvidence', ['ipfs://receipt']), 'NotParty');
  await refused(call(seller, 'submitEvidence', ['x'.repeat(257)]), 'UriTooLong', 257);
  const { events: [shown] } = await call(seller, 'submitEvidence', ['ipfs://receipt']);
  assert.deepEqual(shown.args, { arbitrator, evidenceGroup: group, party: seller.address, uri: 'ipfs://receipt' });

  await world.via(stranger, arbitrator, 'giveRuling', [0, 1]);
  await call(buyer, 'appeal', [court], 2n * PRICE);
  await world.via(stranger, arbitrator, 'giveRuling', [0, 4]);
  await refused(call(stranger, 'execute'), 'NotRuled');
  assert.equal(await rulings(), 0n);
  await chain.at((await chain.now()) + 181);
  await world.via(stranger, arbitrator, 'executeRuling', [0]);
  assert.equal(await rulings(), 1n);
  await refused(call(seller, 'submitEvidence', ['ipfs://late']), 'AlreadyRuled');
  // The fourth of 21 choices: 15 %.
  assert.deepEqual(await paid(made, () => call(stranger, 'execute')), [150n, 850n]);
});

test('a court that refuses to arbitrate leaves the deal to lapse', async () => {
  const { arbitrator, adapter, court, made, call, rulings } = await brought({ lapseShare: 4_000 });
  await call(stranger, 'open', [court], PRICE);
  await refused(world.via(stranger, adapter, 'rule', [0, 5]), 'UnknownDispute', 0);
  await world.via(stranger, arbitrator, 'giveRuling', [0, 0]);
  await chain.at((await chain.now()) + 181);
  await world.via(stranger, arbitrator, 'executeRuling', [0]);
  assert.equal(await rulings(), 0n);
  await refused(call(stranger, 'execute'), 'CourtRefused');
  const closedAt = made.disputedAt + made.terms.ruling;
  await chain.at(closedAt + 1);
  assert.deepEqual(await paid(made, () => world.act(stranger, 'lapse', [made.folded])), [400n, 600n]);
});

test('a case is brought only in time, and only where there is a court', async () => {
  const { court, made, call, adapter } = await brought();
  const nowhere = { ...court, arbitrator: stranger.address };
  const panel = await chain.read(adapter, 'panelOf', [nowhere]);
  const lost = await world.disputed({ arbiter: adapter, panel });
  await refused(world.via(stranger, adapter, 'open', [escrow.address, lost.terms, nowhere]), 'NoCourt');
  const closedAt = made.disputedAt + made.terms.ruling;
  await chain.at(closedAt + 1);
  await refused(call(stranger, 'open', [court], PRICE), 'TooLate', closedAt);
});
