// Records, and somebody who says them at a hub, from docs/architecture.md and docs/identity.md alone.
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { Wallet, decodeBase58, getBytes, toBeHex } from 'ethers';
import { base58, canonical, sha256 } from '../records.mjs';

const ED25519 = [0xed, 0x01];
const P256 = [0x80, 0x24];
const SHA2_256 = [0x12, 0x20];

const multibase = (...bytes) => base58(Uint8Array.from(bytes));

/** The did:key of a public key, of Ed25519 or P-256. */
export function didOf(publicKey) {
  const { crv, x, y } = publicKey.export({ format: 'jwk' });
  const first = Buffer.from(x, 'base64url');
  if (crv === 'Ed25519') return `did:key:${multibase(...ED25519, ...first)}`;
  return `did:key:${multibase(...P256, 2 + (Buffer.from(y, 'base64url').at(-1) & 1), ...first)}`;
}

/** The id that a record must have, whatever it has. */
export const idOf = ({ id, proof, ...said }) => multibase(...SHA2_256, ...sha256(canonical(said)));

/** What is signed (eddsa-jcs-2022): the hash of the proof's options, then that of the document. */
const signedBytes = ({ proof: { proofValue, ...options }, ...document }) =>
  Buffer.concat([sha256(canonical(options)), sha256(canonical(document))]);

/** Whether the key that a document's proof names has signed it. */
export function isGenuine(document) {
  const { verificationMethod, proofValue } = document.proof;
  const named = getBytes(toBeHex(decodeBase58(verificationMethod.split('#')[1].slice(1)), 34));
  const x = Buffer.from(named.slice(2)).toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const signature = getBytes(toBeHex(decodeBase58(proofValue.slice(1)), 64));
  return verify(null, signedBytes(document), publicKey, signature);
}

/** A device's key. */
export class Device {
  #key = generateKeyPairSync('ed25519');
  did = didOf(this.#key.publicKey);

  /** The document with this device's proof. */
  signed(document, proofPurpose, created) {
    const verificationMethod = `${this.did}#${this.did.slice('did:key:'.length)}`;
    const proof = { type: 'DataIntegrityProof', cryptosuite: 'eddsa-jcs-2022', verificationMethod, proofPurpose, created };
    const proofValue = multibase(...sign(null, signedBytes({ ...document, proof }), this.#key.privateKey));
    return { ...document, proof: { ...proof, proofValue } };
  }

  /** A public record about nothing; of no author where it begins an account. */
  record(type, author, body) {
    // As records write moments: no fraction where it would be zero, and no zeros at its end.
    const created = new Date().toISOString().replace(/\.?0*Z$/, 'Z');
    const said = { type, author, device: this.did, about: null, parents: [], created, audience: ['public'], body };
    return this.signed({ id: idOf(said), ...said }, 'assertionMethod', created);
  }
}

/** What a hub's refusal says of itself. */
export class Refused extends Error {
  constructor({ status, step, rule, field, detail }) {
    super(`${status} ${step} ${rule} ${field}: ${detail}`);
    Object.assign(this, { name: 'Refused', status, step, rule, field });
  }
}

/** A hub over HTTP. */
export class Hub {
  constructor(url) {
    this.url = url;
  }

  /** The answer's JSON, or throws its `Refused`. */
  async ask(path, { body, token } = {}) {
    const headers = { ...(body && { 'content-type': 'application/json' }), ...(token && { authorization: `Bearer ${token}` }) };
    const answer = await fetch(this.url + path, { method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body) });
    const json = await answer.json();
    if (!answer.ok) throw new Refused(json);
    return json;
  }

  say(record) {
    return this.ask('/v1/records', { body: record });
  }

  /** A fresh nonce, and what else a sign-in message says. */
  fields() {
    return this.ask('/v1/sign-in/nonce');
  }

  /** The token of a session that the device opens for the account. */
  async session(account, device) {
    const { nonce, domain, issued_at } = await this.fields();
    const request = device.signed({ account, domain, nonce }, 'authentication', issued_at);
    return (await this.ask('/v1/sessions', { body: request })).token;
  }
}

/** Somebody with a wallet of the EVM, a device and an account. */
export class Person {
  wallet = Wallet.createRandom();
  device = new Device();

  static async arrive(hub, name) {
    const person = Object.assign(new Person(), { hub });
    const word = await person.word('Let this device speak for me on Earnest.', [person.device.did]);
    const record = person.device.record('identity@1', null, { ...word, name });
    await hub.say(record);
    person.account = record.id;
    return person;
  }

  /** What the wallet says at the hub: an EIP-4361 message with a fresh nonce, and its signature. */
  async word(statement, resources = []) {
    const fields = await this.hub.fields();
    const chain = fields.chains.find((one) => one.startsWith('eip155:')).slice('eip155:'.length);
    const lines = [
      `${fields.domain} wants you to sign in with your Ethereum account:`, this.wallet.address, '', statement, '',
      `URI: ${fields.uri}`, 'Version: 1', `Chain ID: ${chain}`, `Nonce: ${fields.nonce}`,
      `Issued At: ${fields.issued_at}`, `Expiration Time: ${fields.expiration_time}`,
      ...(resources.length > 0 ? ['Resources:', ...resources.map((one) => `- ${one}`)] : []),
    ];
    const message = lines.join('\n');
    return { message, signature: await this.wallet.signMessage(message) };
  }

  /** Says it by this person's device. */
  say(type, body) {
    return this.hub.say(this.device.record(type, this.account, body));
  }
}
