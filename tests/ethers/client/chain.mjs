// A chain of its own for a file of tests: anvil, keys, transactions, and a clock that moves by one second a block or to
// wherever it is put.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { JsonRpcProvider, Wallet, concat, getAddress, getCreate2Address, id, keccak256, toBeHex, toQuantity } from 'ethers';
import { MANIFEST } from './artefacts.mjs';

const ANVIL = process.env.EARNEST_ANVIL
  ?? fileURLToPath(new URL('../../../contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil', import.meta.url));
// Nothing is paid for gas, so that balances add up to the last unit.
// The chain is not anvil's usual 31337: the literal of Permit2 remembers that one's domain, of another address.
// Old states stay in memory: anvil would leave them in the home folder when it is killed.
const ARGUMENTS = ['--port', '0', '--chain-id', '31338', '--prune-history', '512', '--gas-price', '0',
  '--block-base-fee-per-gas', '0', '--disable-min-priority-fee'];
const START = 1_900_000_000;
const GAS = 15_000_000;

/** A transaction that was refused, by the name and values of the refusal. */
export class Refusal extends Error {
  constructor(call, name, values) {
    super(`${call} was refused: ${name}(${values.join(', ')})`);
    Object.assign(this, { name, values });
  }
}

/** Starts anvil and waits until it says where it listens. */
async function startAnvil(more) {
  const child = spawn(ANVIL, [...ARGUMENTS, '--timestamp', String(START), ...more], { stdio: ['ignore', 'pipe', 'inherit'] });
  const failed = new Promise((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${ANVIL} ended with ${code}`)));
  });
  const listening = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const address = /^Listening on (.+)$/.exec(line)?.[1];
      if (address) return address;
    }
    throw new Error(`${ANVIL} did not say where it listens`);
  })();
  const address = await Promise.race([listening, failed]);
  failed.catch(() => {});
  child.stdout.resume();
  // A file of tests that fails before it can stop the chain ends all the same, and takes anvil with it.
  child.unref();
  child.stdout.unref();
  process.once('exit', () => child.kill());
  return { child, address };
}

/** Structs as objects and arrays as arrays, whatever their length. */
const named = (params, values) => Object.fromEntries(params.map((param, at) => [param.name, decoded(param, values[at])]));
const decoded = (param, value) => {
  if (param.isTuple()) return named(param.components, value);
  return param.isArray() ? value.map((entry) => decoded(param.arrayChildren, entry)) : value;
};

export class Chain {
  #child;
  #nonces = new Map();
  #keys = new Map();
  /** Interface by address, to read logs by. */
  #faces = new Map();
  /** Every event read so far, in order. */
  events = [];

  static async start(more = []) {
    const chain = new Chain();
    const { child, address } = await startAnvil(more);
    chain.#child = child;
    chain.provider = new JsonRpcProvider(`http://${address}`, undefined, { staticNetwork: true, batchMaxCount: 1, cacheTimeout: -1 });
    chain.chainId = Number(await chain.rpc('eth_chainId'));
    await chain.rpc('anvil_setBlockTimestampInterval', 1);
    return chain;
  }

  async stop() {
    this.provider.destroy();
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.ref();
    this.#child.kill();
    await gone;
  }

  rpc(method, ...params) {
    return this.provider.send(method, params);
  }

  /** The key of that name, with coin. */
  async key(name) {
    const wallet = new Wallet(id(`key of ${name}`));
    if (!this.#keys.has(wallet.address)) {
      this.#keys.set(wallet.address, wallet);
      await this.rpc('anvil_setBalance', wallet.address, toBeHex(10n ** 24n));
    }
    return wallet;
  }

  async now() {
    return Number((await this.rpc('eth_getBlockByNumber', 'latest', false)).timestamp);
  }

  async blockNumber() {
    return Number(await this.rpc('eth_blockNumber'));
  }

  async blockHash(number) {
    return (await this.rpc('eth_getBlockByNumber', toQuantity(number), false)).hash;
  }

  /** The next block, and so the next transaction, has this time. */
  async at(time) {
    await this.rpc('evm_setNextBlockTimestamp', time);
  }

  async mine(blocks) {
    await this.rpc('anvil_mine', toQuantity(blocks));
  }

  coinOf(address) {
    return this.provider.getBalance(address);
  }

  /** Events of this address are read by this interface. */
  know(address, { face }) {
    this.#faces.set(address, face);
    return address;
  }

  async deploy(from, artefact, ...values) {
    const data = concat([artefact.bytecode, artefact.face.encodeDeploy(values)]);
    const { contractAddress } = await this.#transact(from, { data }, 'deployment');
    return this.know(getAddress(contractAddress), artefact);
  }

  /** Deploys as protocol/abi/manifest.json says, to the address that it says. */
  async deployPublished(from, name, artefact) {
    const { address, factory, salt } = MANIFEST.find((entry) => entry.name === name);
    await this.#transact(from, { to: factory, data: concat([salt, artefact.bytecode]) }, name);
    const expected = getCreate2Address(factory, salt, keccak256(artefact.bytecode));
    if (expected !== address) throw new Error(`${name} belongs to ${expected}, not to ${address}`);
    if ((await this.provider.getCode(address)) === '0x') throw new Error(`there is no ${name} at ${address}`);
    return this.know(address, artefact);
  }

  faceOf(address) {
    return this.#faces.get(address);
  }

  /** Calls and gives the answer: one value, or all of them. */
  async read(to, call, values, face = this.#faces.get(to)) {
    const answer = await this.rpc('eth_call', { to, data: face.encodeFunctionData(call, values) }, 'latest');
    const result = face.decodeFunctionResult(call, answer);
    return result.length === 1 ? result[0] : result;
  }

  /** Sends a call in a block of its own; gives its events, or throws its `Refusal`. */
  async send(from, to, call, values, { value = 0n, gas = GAS } = {}) {
    const data = this.#faces.get(to).encodeFunctionData(call, values);
    return this.#transact(from, { to, data, value, gasLimit: gas }, call);
  }

  /** Gives a key that never sent anything the code of a contract (EIP-7702). */
  async delegate(from, wallet, address) {
    const authorization = await wallet.authorize({ address, chainId: this.chainId, nonce: 0 });
    const fees = { type: 4, gasPrice: undefined, maxFeePerGas: 0, maxPriorityFeePerGas: 0 };
    await this.#transact(from, { to: from.address, data: '0x', authorizationList: [authorization], ...fees }, 'delegation');
  }

  async #transact(from, request, call) {
    const nonce = this.#nonces.get(from.address) ?? 0;
    this.#nonces.set(from.address, nonce + 1);
    const common = { chainId: this.chainId, type: 0, gasPrice: 0, gasLimit: 30_000_000, nonce };
    // Answers with the receipt (EIP-7966): nothing to wait for.
    const receipt = await this.rpc('eth_sendRawTransactionSync', await from.signTransaction({ ...common, ...request }));
    if (receipt.status !== '0x1') throw await this.#refusal(receipt.transactionHash, call);
    const time = Number((await this.rpc('eth_getBlockByNumber', receipt.blockNumber, false)).timestamp);
    const events = this.#read(receipt.logs, time);
    this.events.push(...events);
    return { events, time, block: Number(receipt.blockNumber), contractAddress: receipt.contractAddress };
  }

  async #refusal(hash, call) {
    const { output = '0x', error } = await this.rpc('debug_traceTransaction', hash, { tracer: 'callTracer' });
    for (const face of this.#faces.values()) {
      const found = output.length >= 10 ? face.parseError(output) : null;
      if (found) return new Refusal(call, found.name, [...found.args]);
    }
    return new Error(`${call} failed: ${error} ${output}`);
  }

  #read(logs, time) {
    const events = [];
    for (const log of logs) {
      const face = [...this.#faces].find(([address]) => address.toLowerCase() === log.address)?.[1];
      const found = face?.parseLog(log);
      if (!found) continue;
      const block = Number(log.blockNumber);
      events.push({ address: log.address, name: found.name, args: named(found.fragment.inputs, found.args), time, block });
    }
    return events;
  }
}
