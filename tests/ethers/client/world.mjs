// A chain with Earnest on it, buyer, seller and stranger. After every transaction each deal and case that it touched is
// rebuilt from events and compared with what the contracts say of it.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { MaxUint256, ZeroAddress } from 'ethers';
import { EARNEST, OTHERS, PERMIT2 } from './artefacts.mjs';
import { Chain, Refusal } from './chain.mjs';
import { caseFrom } from './case.mjs';
import { dealFrom, owedBy, storedOf } from './deal.mjs';
import { Signed, fold, newTerms } from './terms.mjs';

export const COIN = ZeroAddress;

/** Numbers that fit one, as ethers gives small integers as bigint. */
export function plain(struct, wide = []) {
  const entries = Object.entries(struct).map(([name, value]) => [
    name, typeof value === 'bigint' && !wide.includes(name) ? Number(value) : value,
  ]);
  return Object.fromEntries(entries);
}

export class World {
  /** With more arguments for anvil. */
  static async start(...more) {
    const world = new World();
    const chain = await Chain.start(more);
    world.chain = chain;
    for (const name of ['buyer', 'seller', 'stranger', 'keeper']) world[name] = await chain.key(name);
    world.escrow = new Signed(chain.chainId, await chain.deployPublished(world.stranger, 'Escrow', EARNEST.Escrow));
    const pools = await chain.deployPublished(world.stranger, 'ArbitrationPools', EARNEST.ArbitrationPools);
    world.pools = new Signed(chain.chainId, pools);
    world.token = await chain.deploy(world.stranger, EARNEST.TestToken);
    await world.allow(world.token);
    return world;
  }

  /** For a file of tests: once they have run, the escrow must have what it owes, and the chain stops. */
  static async ofFile() {
    const world = await World.start();
    after(async () => { await world.conserves(); await world.stop(); });
    return world;
  }

  stop() {
    return this.chain.stop();
  }

  /** The buyer has enough of the token and lets the escrow take it. */
  async allow(token) {
    await this.mint(token, this.buyer.address);
    await this.chain.send(this.buyer, token, 'approve', [this.escrow.address, MaxUint256]);
  }

  mint(token, to, amount = 10n ** 18n) {
    return this.chain.send(this.stranger, token, 'mint', [to, amount]);
  }

  async other(name, ...values) {
    return this.chain.deploy(this.stranger, OTHERS[name], ...values);
  }

  async putPermit2() {
    await this.chain.rpc('anvil_setCode', PERMIT2.address, PERMIT2.code);
    return PERMIT2.address;
  }

  /** Terms between buyer and seller over the token, that nobody else has. */
  async terms(terms = {}) {
    const { buyer, seller, stranger, token } = this;
    const parties = { buyer: buyer.address, seller: seller.address, arbiter: stranger.address };
    return newTerms(await this.chain.now(), { ...parties, asset: token, ...terms });
  }

  signTerms(terms, wallet = this.seller) {
    return this.escrow.sign(wallet, 'Terms', terms);
  }

  /** A deal that the buyer funded, as {terms, deal}. */
  async funded(changes = {}) {
    const terms = await this.terms(changes);
    const value = terms.asset === COIN ? terms.amount : 0n;
    await this.act(this.buyer, 'fund', [terms, await this.signTerms(terms)], { value });
    return { terms, deal: this.escrow.idOf(terms), folded: fold(terms) };
  }

  async disputed(changes = {}) {
    const made = await this.funded(changes);
    const { time } = await this.act(this.buyer, 'dispute', [made.folded, made.deal]);
    return { ...made, disputedAt: time };
  }

  /** A call of the escrow. */
  act(from, call, values, options) {
    return this.#sent(from, this.escrow.address, call, values, options);
  }

  /** A call of the pools. */
  judge(from, call, values, options) {
    return this.#sent(from, this.pools.address, call, values, options);
  }

  /** A call of any other contract that may touch a deal. */
  via(from, to, call, values, options) {
    return this.#sent(from, to, call, values, options);
  }

  async #sent(from, to, call, values, options) {
    const sent = await this.chain.send(from, to, call, values, options);
    const touched = new Set(sent.events.map(({ args }) => args.deal).filter(Boolean));
    for (const deal of touched) await this.check(deal);
    return sent;
  }

  eventsOf({ address }) {
    return this.chain.events.filter((event) => event.address === address.toLowerCase());
  }

  async stateOf(deal) {
    return plain((await this.chain.read(this.escrow.address, 'stateOf', [deal])).toObject(), ['released', 'refunded']);
  }

  async caseOf(deal) {
    const juries = await this.chain.read(this.pools.address, 'caseOf', [this.escrow.address, deal]);
    return juries.map((jury) => plain(jury.toObject(), ['ballots']));
  }

  /** What events say of the deal and its case is what the contracts say. */
  async check(deal) {
    const found = dealFrom(this.eventsOf(this.escrow), deal);
    if (!found) return;
    assert.deepEqual(await this.stateOf(deal), storedOf(found), `deal ${deal}`);
    if (!found.terms) return;
    const rebuilt = caseFrom({ pools: this.eventsOf(this.pools), deal, escrow: this.escrow.address, ...found });
    assert.deepEqual(await this.caseOf(deal), rebuilt, `case of ${deal}`);
  }

  balanceOf(asset, holder) {
    return asset === COIN ? this.chain.coinOf(holder) : this.chain.read(asset, 'balanceOf', [holder]);
  }

  /** Guarantee 1 of protocol.md: the escrow has what it owes, here to the unit. */
  async conserves() {
    for (const [asset, owed] of owedBy(this.eventsOf(this.escrow))) {
      assert.equal(await this.balanceOf(asset, this.escrow.address), owed, `what the escrow has of ${asset}`);
    }
  }

  /** What each of the holders got while `action` ran. */
  async gained(asset, holders, action) {
    const before = await Promise.all(holders.map((holder) => this.balanceOf(asset, holder)));
    await action();
    const after = await Promise.all(holders.map((holder) => this.balanceOf(asset, holder)));
    return after.map((balance, index) => balance - before[index]);
  }
}

/** The call is refused by that name with those values, and nothing else. */
export async function refused(sending, name, ...values) {
  const outcome = await sending.then(() => 'it was not refused', (error) => error);
  if (!(outcome instanceof Refusal)) throw outcome instanceof Error ? outcome : new assert.AssertionError({ message: outcome });
  const comparable = (list) => list.map((value) => (typeof value === 'number' ? BigInt(value) : value));
  assert.deepEqual([outcome.name, ...comparable(outcome.values)], [name, ...comparable(values)]);
}
