// Payees that do not take what is theirs: credit, and the ways to it. Contract wallets as parties.
import assert from 'node:assert/strict';
import test from 'node:test';
import { id } from 'ethers';
import { STATUS } from './client/deal.mjs';
import { DAY, HOUR, fold } from './client/terms.mjs';
import { COIN, World, refused } from './client/world.mjs';

const world = await World.ofFile();
const { buyer, seller, stranger, chain, escrow } = world;

const creditOf = (creditor, asset) => chain.read(escrow.address, 'creditOf', [creditor, asset]);

/** The values of `withdrawBySig`, signed by `wallet` with the creditor's current nonce. */
async function withdrawal(wallet, creditor, asset, amount, to) {
  const nonce = await chain.read(escrow.address, 'withdrawalNonceOf', [creditor]);
  const validUntil = (await chain.now()) + HOUR;
  const value = { creditor, asset, amount, to, nonce, validUntil };
  return [creditor, asset, amount, to, validUntil, await escrow.sign(wallet, 'Withdraw', value)];
}

test('a wallet that takes no coin is credited, and nobody waits for it', async () => {
  const wallet = await world.other('Account', seller.address);
  await world.via(stranger, wallet, 'refuse', [true]);
  const { terms, folded, deal } = await world.funded({ asset: COIN, seller: wallet, amount: 1_000n });
  const { events } = await world.act(buyer, 'release', [folded, 600n]);
  assert.deepEqual(events.map(({ name }) => name).sort(), ['Credited', 'Released']);
  assert.deepEqual(events.find(({ name }) => name === 'Credited').args, { deal, creditor: wallet, asset: COIN, amount: 600n });
  assert.equal(await creditOf(wallet, COIN), 600n);
  await world.via(stranger, wallet, 'act', [escrow.address, 0n, encoded('refund', [folded, 150n])]);
  await world.via(stranger, wallet, 'refuse', [false]);
  await chain.at(terms.deliverBy + 1);
  await world.act(stranger, 'reclaim', [folded]);

  await refused(world.via(stranger, wallet, 'act', [escrow.address, 0n, encoded('withdraw', [COIN, escrow.address])]), 'SameParty');
  const half = await withdrawal(seller, wallet, COIN, 250n, stranger.address);
  await refused(world.act(buyer, 'withdrawBySig', half.with(2, 251n)), 'InvalidSignature', wallet);
  const [gained] = await world.gained(COIN, [stranger.address], () => world.act(buyer, 'withdrawBySig', half));
  assert.equal(gained, 250n);
  // The nonce is used up.
  await refused(world.act(buyer, 'withdrawBySig', half), 'InvalidSignature', wallet);
  const tooMuch = await withdrawal(seller, wallet, COIN, 351n, stranger.address);
  await refused(world.act(buyer, 'withdrawBySig', tooMuch), 'TotalTooHigh', 351, 350);
  await refused(world.act(buyer, 'withdrawBySig', await withdrawal(seller, wallet, COIN, 0n, buyer.address)), 'NothingToWithdraw');

  const [rest] = await world.gained(COIN, [seller.address],
    () => world.via(stranger, wallet, 'act', [escrow.address, 0n, encoded('withdraw', [COIN, seller.address])]));
  assert.equal(rest, 350n);
  assert.equal(await creditOf(wallet, COIN), 0n);
});

const encoded = (call, values) => chain.faceOf(escrow.address).encodeFunctionData(call, values);

test('a receiver that a token refuses is credited, and takes it to another address', async () => {
  const token = await world.other('DenylistToken');
  await world.allow(token);
  const { terms, folded } = await world.funded({ asset: token, amount: 1_000n });
  await world.via(stranger, token, 'deny', [seller.address, true]);
  await world.act(seller, 'deliver', [folded, id('parcel')]);
  await chain.at((await chain.now()) + terms.inspection + 2);
  await world.act(stranger, 'claim', [folded]);
  assert.equal(await creditOf(seller.address, token), 1_000n);
  await refused(world.act(seller, 'withdraw', [token, seller.address]), 'TransferFailed');
  await refused(world.act(seller, 'withdraw', [token, token]), 'SameParty');
  const [gained] = await world.gained(token, [stranger.address], () => world.act(seller, 'withdraw', [token, stranger.address]));
  assert.equal(gained, 1_000n);
  await refused(world.act(seller, 'withdraw', [token, stranger.address]), 'NothingToWithdraw');
});

test('contract wallets are parties by what their code calls a signature', async () => {
  const shop = await world.other('Account', seller.address);
  const purse = await world.other('Account', buyer.address);
  const { token } = world;
  await world.mint(token, purse);
  const approve = chain.faceOf(token).encodeFunctionData('approve', [escrow.address, 10n ** 18n]);
  await world.via(stranger, purse, 'act', [token, 0n, approve]);
  const terms = await world.terms({ buyer: purse, seller: shop, amount: 1_000n });
  const deal = escrow.idOf(terms);
  const validUntil = (await chain.now()) + DAY;
  const agreed = await escrow.sign(buyer, 'Fund', { deal, validUntil });
  const accepted = await world.signTerms(terms);
  await refused(world.act(stranger, 'fundBySig', [terms, await world.signTerms(terms, buyer), validUntil, agreed]), 'InvalidSignature', shop);
  await world.act(stranger, 'fundBySig', [terms, accepted, validUntil, agreed]);
  const release = await escrow.sign(buyer, 'Release', { deal, total: 1_000n });
  const [gained] = await world.gained(token, [shop], () => world.act(stranger, 'releaseBySig', [fold(terms), 1_000n, release]));
  assert.equal(gained, 1_000n);
  assert.equal((await world.stateOf(deal)).status, STATUS.Closed);
});

test('a key with delegated code signs as a key, and by its code', async () => {
  const other = await chain.key('owner of the code');
  const code = await world.other('Account', other.address);
  const shop = await chain.key('delegating shop');
  await chain.delegate(stranger, shop, code);
  for (const signer of [shop, other]) {
    const terms = await world.terms({ seller: shop.address, asset: COIN, amount: 1_000n });
    const wrong = await world.signTerms(terms, stranger);
    await refused(world.act(buyer, 'fund', [terms, wrong], { value: 1_000n }), 'InvalidSignature', shop.address);
    await world.act(buyer, 'fund', [terms, await world.signTerms(terms, signer)], { value: 1_000n });
    const deal = escrow.idOf(terms);
    const refund = await escrow.sign(signer, 'Refund', { deal, total: 400n });
    await world.act(stranger, 'refundBySig', [fold(terms), 400n, refund]);
    const [gained] = await world.gained(COIN, [shop.address], () => world.act(buyer, 'release', [fold(terms), 600n]));
    assert.equal(gained, 600n);
  }
});

test('a push needs the gas for its whole bound', async () => {
  const { folded } = await world.funded({ asset: COIN, amount: 1_000n });
  await refused(world.act(buyer, 'release', [folded, 1_000n], { gas: 90_000 }), 'NotEnoughGas');
  await world.act(buyer, 'release', [folded, 1_000n]);
});
