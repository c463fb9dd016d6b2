// Pools, juries and ballots as a client has them that trusts the contracts with nothing: every draw and every count is
// computed here too, and compared.
import assert from 'node:assert/strict';
import { ZeroHash, id } from 'ethers';
import { caseOutputs, poolOutputs } from '../typed-data.mjs';
import { STAGE, spanOf } from './case.mjs';
import { bounds, cast, draw, signed } from './jury.mjs';
import { DAY, HOUR, compact } from './terms.mjs';
import { plain } from './world.mjs';

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const lower = ({ address }) => address.toLowerCase();

/** The id of a rule book. */
export function poolIdOf(book) {
  return poolOutputs({ book: Object.fromEntries(Object.entries(book).map(([name, value]) => [snake(name), value])) }).pool;
}

export class Arbitration {
  #created = 0;

  constructor(world) {
    this.world = world;
    this.at = world.pools.address;
    this.escrow = world.escrow.address;
  }

  /** That many keys in ascending order, always the same. */
  async jurors(count) {
    const keys = [];
    for (let number = 0; number < count; number += 1) keys.push(await this.world.chain.key(`juror ${number}`));
    return keys.sort((a, b) => (lower(a) < lower(b) ? -1 : 1));
  }

  book(changes = {}) {
    this.#created += 1;
    const { keeper } = this.world;
    return {
      keeper: keeper.address, parent: ZeroHash, jurySize: 3, delay: 0, opening: HOUR, voting: DAY, appeal: 0,
      salt: id(`pool ${this.#created}`), ...changes,
    };
  }

  async create(book) {
    const { events: [{ name, args }] } = await this.world.judge(this.world.stranger, 'createPool', [book]);
    assert.deepEqual([name, args.pool, plain(args.book)], ['PoolCreated', poolIdOf(book), book]);
    return { id: args.pool, book };
  }

  /** Stores a page and gives where it is. */
  async page(members) {
    const { world } = this;
    const values = [members.map(({ address }) => address)];
    const page = await world.chain.read(this.at, 'storePage', values);
    await world.judge(world.keeper, 'storePage', values);
    return page;
  }

  async publish(pool, members) {
    const { events } = await this.world.judge(this.world.keeper, 'publish', [pool.id, [await this.page(members)]]);
    Object.assign(pool, { members });
    return events[0].args;
  }

  /** A pool whose list of `members` is in effect. */
  async pool(members, changes = {}) {
    const pool = await this.create(this.book(changes));
    await this.publish(pool, members);
    return pool;
  }

  disputed(pool, changes = {}) {
    return this.world.disputed({ arbiter: this.at, panel: pool.id, ...changes });
  }

  /** Any call that takes the escrow and the terms first. */
  call(from, name, { terms }, ...values) {
    return this.world.judge(from, name, [this.escrow, terms, ...values]);
  }

  async open({ deal }) {
    const { chain, stranger } = this.world;
    const { block, events: [{ args }] } = await this.world.judge(stranger, 'open', [this.escrow, deal]);
    assert.equal(Number(args.targetBlock), block + 2);
    await chain.mine(2);
    return Number(args.targetBlock);
  }

  /** Draws what is open; seed, seats and case id are those that the client computes. */
  async draw(made, { pool, instance = 0, jury = 0, target }) {
    const { world } = this;
    const { deal, terms } = made;
    const seated = world.eventsOf(world.pools)
      .filter(({ name, args }) => name === 'JuryDrawn' && args.deal === deal)
      .flatMap(({ args }) => args.seats);
    const { events: [{ args }] } = await this.call(world.stranger, 'draw', made);
    const expected = draw({
      blockHash: await world.chain.blockHash(target), deal, instance, jury,
      members: pool.members.map(({ address }) => address),
      excluded: [terms.buyer, terms.seller, ...seated],
      jurySize: pool.book.jurySize,
    });
    const found = { instance: Number(args.instance), jury: Number(args.jury), seed: args.seed, seats: args.seats, pool: args.pool };
    assert.deepEqual(found, { instance, jury, ...expected, pool: pool.id });
    const { case_id: caseId } = caseOutputs({ pool: pool.id, escrow: this.escrow, deal, instance, jury, seed: args.seed });
    assert.equal(await this.read('caseId', made, jury), caseId);
    assert.deepEqual([...await this.read('juryOf', made, jury)], args.seats);
    const seats = args.seats.map((address) => pool.members.find((member) => member.address === address));
    return { made, instance, jury, seats, caseId, size: pool.book.jurySize, word: 0n, endsAt: Number(args.endsAt) };
  }

  read(name, { terms }, ...values) {
    return this.world.chain.read(this.at, name, [this.escrow, terms, ...values]);
  }

  /** A dispute before a jury of the pool. */
  async drawn(pool, changes) {
    const made = await this.disputed(pool, changes);
    const jury = await this.draw(made, { pool, target: await this.open(made) });
    const begun = made.disputedAt;
    assert.equal(jury.endsAt, Math.min(begun + spanOf(pool.book), begun + made.terms.ruling));
    return jury;
  }

  async second(first, pool) {
    const { chain, stranger } = this.world;
    const { events: [{ args }] } = await this.call(stranger, 'openSecondJury', first.made);
    await chain.mine(2);
    return this.draw(first.made, { pool, instance: first.instance, jury: 1, target: Number(args.targetBlock) });
  }

  /** The signed ballot of a seat, by its juror or by another key. */
  async ballot({ caseId, seats }, seat, share, { reason = id(`${share}`), wallet = seats[seat] } = {}) {
    const signature = await this.world.pools.sign(wallet, 'Ballot', { caseId, share, reason });
    return { seat, share, reason, ...compact(signature) };
  }

  /** Hands in [seat, share] pairs; the count is the client's. */
  async submit(jury, ...pairs) {
    const ballots = [];
    for (const [seat, share] of pairs) ballots.push(await this.ballot(jury, seat, share));
    const sent = await this.call(this.world.stranger, 'submit', jury.made, jury.jury, ballots);
    for (const [seat, share] of pairs) jury.word = signed(jury.word, seat, share);
    return this.#counted(jury, sent);
  }

  async cast(jury, seat, share) {
    const { made, seats } = jury;
    const sent = await this.call(seats[seat], 'cast', made, jury.jury, seat, share, ZeroHash);
    const { name, args } = sent.events[0];
    assert.deepEqual([name, Number(args.seat), Number(args.share)], ['BallotCast', seat, share]);
    jury.word = cast(jury.word, seat, share);
    return this.#counted(jury, sent);
  }

  /** The one event that says what was counted; gives it. */
  #counted(jury, { events, time }) {
    const { lo, hi } = bounds(jury.word, jury.size);
    const [event, ...more] = events.filter(({ name }) => ['BallotsCounted', 'RulingAccepted'].includes(name));
    assert.equal(more.length, 0);
    const { deal, escrow, executableAt, ...counted } = event.args;
    const where = { instance: BigInt(jury.instance), jury: BigInt(jury.jury), ballots: jury.word };
    if (lo === hi) assert.deepEqual([event.name, counted], ['RulingAccepted', { ...where, share: BigInt(lo) }]);
    else assert.deepEqual([event.name, counted], ['BallotsCounted', { ...where, lo: BigInt(lo), hi: BigInt(hi) }]);
    return { name: event.name, executableAt: Number(executableAt ?? 0), share: lo, time };
  }

  async rulings({ deal }) {
    return Number(await this.world.chain.read(this.at, 'rulings', [this.escrow, deal]));
  }

  /** The stage of the case's last jury. */
  async stage({ deal }) {
    return (await this.world.caseOf(deal)).at(-1)?.stage ?? STAGE.None;
  }

  /** An appeal by `party`, drawn before the parent. */
  async appealed(jury, parent, party) {
    const { chain } = this.world;
    const { events } = await this.call(party, 'appeal', jury.made);
    assert.deepEqual(events.map(({ name }) => name), ['Appealed', 'CaseOpened']);
    assert.equal(events[0].args.by, party.address);
    await chain.mine(2);
    return this.draw(jury.made, { pool: parent, instance: 1, target: Number(events[1].args.targetBlock) });
  }
}
