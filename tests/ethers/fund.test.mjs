// Every way in: coin, allowance, the buyer's signature, EIP-2612, ERC-3009, Permit2, and terms that are taken back.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ZeroAddress } from 'ethers';
import { STATUS } from './client/deal.mjs';
import { HOUR, compact, fold } from './client/terms.mjs';
import { authorize, dollar, permit, permit2 } from './client/tokens.mjs';
import { COIN, World, refused } from './client/world.mjs';

/** A token that loses a hundredth on the way: its place in OddToken's list of oddities. */
const FEE = 12;

const world = await World.ofFile();

const funding = (terms) => world.escrow.idOf(terms);
/** The buyer's own agreement to fund, for the next hour. */
async function fundSigned(terms, wallet = world.buyer) {
  const validUntil = (await world.chain.now()) + HOUR;
  return [validUntil, await world.escrow.sign(wallet, 'Fund', { deal: funding(terms), validUntil })];
}
const encoded = (face, call, values) => face.encodeFunctionData(call, values);

test('the contract computes the id that the client computed', async () => {
  const terms = await world.terms({ metered: true, asset: COIN });
  const { chain, escrow } = world;
  const face = chain.faceOf(escrow.address);
  const [plainId, foldedId] = face.fragments.filter(({ name }) => name === 'idOf').map((fragment) => fragment.format('sighash'));
  const ids = [];
  for (const name of [plainId, foldedId]) {
    const folded = name.includes('bool,bytes32)');
    ids.push(await chain.read(escrow.address, name, [folded ? fold(terms) : terms]));
  }
  assert.deepEqual(ids, [escrow.idOf(terms), escrow.idOf(terms)]);
});

test('coin, from the buyer', async () => {
  const { buyer, escrow } = world;
  const terms = await world.terms({ asset: COIN });
  const signature = await world.signTerms(terms);
  await refused(world.act(buyer, 'fund', [terms, signature], { value: terms.amount - 1n }), 'WrongValue', terms.amount - 1n, terms.amount);
  const [gained] = await world.gained(COIN, [escrow.address], () => world.act(buyer, 'fund', [terms, signature], { value: terms.amount }));
  assert.equal(gained, terms.amount);
  const { status, count, released, refunded } = await world.stateOf(funding(terms));
  assert.deepEqual({ status, count, released, refunded }, { status: STATUS.Funded, count: 1, released: 0n, refunded: 0n });
  await refused(world.act(buyer, 'fund', [terms, signature], { value: terms.amount }), 'AlreadyFunded');
});

test('a token, from the allowance of the buyer', async () => {
  const { buyer, stranger, escrow, token } = world;
  const terms = await world.terms();
  const signature = await world.signTerms(terms);
  await refused(world.act(stranger, 'fund', [terms, signature]), 'NotBuyer');
  await refused(world.act(buyer, 'fund', [terms, await world.signTerms(terms, stranger)]), 'InvalidSignature', terms.seller);
  await refused(world.act(buyer, 'fund', [terms, signature], { value: 1n }), 'WrongValue', 1, 0);
  const [gained] = await world.gained(token, [escrow.address], () => world.act(buyer, 'fund', [terms, signature]));
  assert.equal(gained, terms.amount);
});

test('by the signature of the buyer: a token from its allowance, coin from whoever sends it', async () => {
  const { buyer, seller, stranger, escrow, token } = world;
  const inToken = await world.terms();
  const [validUntil, agreed] = await fundSigned(inToken);
  const values = [inToken, await world.signTerms(inToken), validUntil, agreed];
  const forged = await escrow.sign(stranger, 'Fund', { deal: funding(inToken), validUntil });
  await refused(world.act(stranger, 'fundBySig', values.with(3, forged)), 'InvalidSignature', buyer.address);
  assert.deepEqual(await world.gained(token, [escrow.address, buyer.address], () => world.act(stranger, 'fundBySig', values)),
    [inToken.amount, -inToken.amount]);

  const inCoin = await world.terms({ asset: COIN });
  const coinValues = [inCoin, await world.signTerms(inCoin), ...(await fundSigned(inCoin))];
  assert.deepEqual(
    await world.gained(COIN, [escrow.address, buyer.address, stranger.address],
      () => world.act(stranger, 'fundBySig', coinValues, { value: inCoin.amount })),
    [inCoin.amount, 0n, -inCoin.amount],
  );

  const bySeller = await world.terms();
  const late = [bySeller, '0x', ...(await fundSigned(bySeller))];
  await refused(world.act(stranger, 'fundBySig', late), 'InvalidSignature', seller.address);
  await world.act(seller, 'fundBySig', late);
});

test('a signature of the buyer ends, and can be taken back', async () => {
  const { buyer, stranger, chain, escrow } = world;
  const terms = await world.terms({ fundBy: (await chain.now()) + 3 * HOUR });
  const [validUntil, agreed] = await fundSigned(terms);
  const values = [terms, await world.signTerms(terms), validUntil, agreed];
  await chain.at(validUntil + 1);
  await refused(world.act(stranger, 'fundBySig', values), 'SignatureExpired', validUntil);

  const again = [terms, values[1], ...(await fundSigned(terms))];
  const digest = escrow.digest('Fund', { deal: funding(terms), validUntil: again[2] });
  await world.act(buyer, 'revoke', [digest]);
  assert.equal(await chain.read(escrow.address, 'revoked', [buyer.address, digest]), true);
  await refused(world.act(stranger, 'fundBySig', again), 'SignatureRevoked', digest);
});

test('an EIP-2612 permit and the funding in one batch', async () => {
  const { buyer, stranger, chain, escrow } = world;
  const token = await world.other('SignedToken');
  await world.mint(token, buyer.address);
  const terms = await world.terms({ asset: token });
  const deadline = (await chain.now()) + HOUR;
  const allowed = { spender: escrow.address, value: terms.amount, nonce: 0, deadline };
  const permitted = [token, buyer.address, terms.amount, deadline, ...(await permit(buyer, dollar(chain.chainId, token), allowed))];
  const face = chain.faceOf(escrow.address);
  const calls = [
    encoded(face, 'permit', permitted),
    encoded(face, 'fundBySig', [terms, await world.signTerms(terms), ...(await fundSigned(terms))]),
  ];
  // A permit that fails where there is no allowance: nothing of the batch happens.
  const forged = permitted.with(2, terms.amount + 1n);
  await refused(world.act(stranger, 'batch', [[encoded(face, 'permit', forged), calls[1]]]), 'TransferFailed');
  // Anyone may use the permit first: it sets the same allowance, and the one in the batch fails without harm.
  await world.via(stranger, token, 'permit', [buyer.address, escrow.address, ...permitted.slice(2)]);
  await world.act(stranger, 'batch', [calls]);
  assert.equal((await world.stateOf(funding(terms))).status, STATUS.Funded);

  const next = await world.terms({ asset: token });
  const second = { ...allowed, nonce: 1 };
  const fresh = [...permitted.slice(0, 4), ...(await permit(buyer, dollar(chain.chainId, token), second))];
  const own = [encoded(face, 'permit', fresh), encoded(face, 'fund', [next, await world.signTerms(next)])];
  await world.act(buyer, 'batch', [own]);
  assert.equal((await world.stateOf(funding(next))).status, STATUS.Funded);
});

test('an ERC-3009 authorization in both its forms', async () => {
  const { buyer, stranger, chain, escrow } = world;
  const token = await world.other('SignedToken');
  const wallet = await world.other('Account', buyer.address);
  // Of 65 bytes are (v, r, s); longer ones are bytes, which a contract wallet reads.
  for (const [holder, rest] of [[buyer.address, ''], [wallet, '00']]) {
    await world.mint(token, holder);
    const terms = await world.terms({ asset: token, buyer: holder });
    const validBefore = (await chain.now()) + HOUR;
    const allowed = { from: holder, to: escrow.address, value: terms.amount, validAfter: 0, validBefore, nonce: funding(terms) };
    const signature = `${await authorize(buyer, dollar(chain.chainId, token), allowed)}${rest}`;
    const values = [terms, await world.signTerms(terms), 0, validBefore, signature];
    const another = await authorize(buyer, dollar(chain.chainId, token), { ...allowed, nonce: terms.annex.salt });
    await refused(world.act(stranger, 'fundByAuthorization', values.with(4, another)), 'TransferFailed');
    const gained = await world.gained(token, [holder], () => world.act(stranger, 'fundByAuthorization', values));
    assert.deepEqual(gained, [-terms.amount]);
  }
});

test('Permit2 with the deal as witness', async () => {
  const { buyer, seller, stranger, chain, escrow, token } = world;
  const address = await world.putPermit2();
  await world.via(buyer, token, 'approve', [address, 10n ** 18n]);
  const terms = await world.terms();
  const deadline = (await chain.now()) + HOUR;
  const allowed = { token, amount: terms.amount, spender: escrow.address, nonce: 7, deadline, deal: funding(terms) };
  const signature = await permit2(buyer, chain.chainId, address, allowed);
  const values = [terms, await world.signTerms(terms), 7, deadline, signature];
  const elsewhere = await permit2(buyer, chain.chainId, address, { ...allowed, deal: terms.annex.salt });
  await refused(world.act(stranger, 'fundByPermit2', values.with(4, elsewhere)), 'TransferFailed');
  const gained = await world.gained(token, [buyer.address], () => world.act(stranger, 'fundByPermit2', values));
  assert.deepEqual(gained, [-terms.amount]);

  // The seller leaves its own signature out where it sends.
  const next = await world.terms();
  const agreed = await permit2(buyer, chain.chainId, address, { ...allowed, nonce: 8, deal: funding(next) });
  await refused(world.act(stranger, 'fundByPermit2', [next, '0x', 8, deadline, agreed]), 'InvalidSignature', seller.address);
  await world.act(seller, 'fundByPermit2', [next, '0x', 8, deadline, agreed]);
});

test('in a batch the coin is one purse', async () => {
  const { buyer, chain, escrow } = world;
  const terms = [await world.terms({ asset: COIN, amount: 5n }), await world.terms({ asset: COIN, amount: 7n }), await world.terms()];
  const face = chain.faceOf(escrow.address);
  const calls = [];
  for (const each of terms) calls.push(encoded(face, 'fund', [each, await world.signTerms(each)]));
  await refused(world.act(buyer, 'batch', [calls], { value: 11n }), 'WrongValue', 6, 7);
  await refused(world.act(buyer, 'batch', [calls], { value: 13n }), 'WrongValue', 13, 12);
  const more = encoded(face, 'release', [fold(terms[0]), 5n]);
  // Without a name: only what may take coin has code for coin.
  await assert.rejects(world.act(buyer, 'batch', [[...calls, more]], { value: 12n }), /reverted 0x$/);
  const { events } = await world.act(buyer, 'batch', [calls], { value: 12n });
  assert.deepEqual(events.filter(({ name }) => name === 'Funded').map(({ args }) => args.deal), terms.map(funding));
});

test('terms that are taken back are closed, by either party', async () => {
  const { buyer, seller, stranger, chain } = world;
  for (const party of [buyer, seller]) {
    const terms = await world.terms();
    const signature = await world.signTerms(terms);
    await refused(world.act(stranger, 'retract', [terms]), 'NotParty');
    const { events } = await world.act(party, 'retract', [terms]);
    assert.deepEqual(events.map(({ name, args }) => [name, args]), [['Retracted', { deal: funding(terms), by: party.address }]]);
    const { status, count } = await world.stateOf(funding(terms));
    assert.deepEqual({ status, count }, { status: STATUS.Closed, count: 0 });
    await refused(world.act(buyer, 'fund', [terms, signature]), 'DealClosed');
    const { terms: open } = await world.funded();
    await refused(world.act(party, 'retract', [open]), 'AlreadyFunded');
  }
  const late = await world.terms();
  await chain.at(late.fundBy + 1);
  await refused(world.act(buyer, 'retract', [late]), 'DealClosed');
  await refused(world.act(buyer, 'fund', [late, await world.signTerms(late)]), 'DealClosed');
});

test('revoking the id takes nothing back', async () => {
  const { buyer, seller } = world;
  const terms = await world.terms();
  await world.act(seller, 'revoke', [funding(terms)]);
  await world.act(buyer, 'fund', [terms, await world.signTerms(terms)]);
});

test('terms that break a rule are refused by its name, in the order of the page', async () => {
  const { buyer, escrow } = world;
  const good = await world.terms();
  const breaches = [
    [{ ruling: 0 }, 'WindowOutOfRange'],
    [{ inspection: 366 * 86_400 + 1 }, 'WindowOutOfRange'],
    [{ lapseShare: 10_001, deliverBy: 2 ** 40 - 1 }, 'ShareOutOfRange'],
    [{ fundBy: good.deliverBy }, 'DeadlinesOutOfOrder'],
    [{ deliverBy: good.fundBy + 3_650 * 86_400 }, 'DeadlineTooFar'],
    [{ amount: 0n, lapseShare: 10_001 }, 'AmountOutOfRange'],
    [{ seller: buyer.address, amount: 0n }, 'SameParty'],
    [{ arbiter: escrow.address }, 'SameParty'],
    [{ asset: good.seller }, 'SameParty'],
    [{ buyer: ZeroAddress, amount: 0n }, 'ZeroParty'],
  ];
  for (const [breach, name] of breaches) {
    const terms = { ...good, ...breach };
    await refused(world.act(buyer, 'fund', [terms, await world.signTerms(terms)]), name);
  }
  const sealed = await world.signTerms(good);
  await refused(world.act(buyer, 'fund', [good, compactBytes(sealed)]), 'InvalidSignature', good.seller);
});

const compactBytes = (signature) => {
  const { r, vs } = compact(signature);
  return `${r}${vs.slice(2)}`;
};

test('a token that takes a fee on the way is refused', async () => {
  const token = await world.other('OddToken');
  await world.allow(token);
  await world.via(world.stranger, token, 'setInto', [FEE]);
  const terms = await world.terms({ asset: token, amount: 1_000n });
  await refused(world.act(world.buyer, 'fund', [terms, await world.signTerms(terms)]), 'IntakeMismatch', 990, 1_000);
});
