// What a hub's files are made of (docs/architecture.md, "Records"; docs/credentials.md), with nothing but Node: canonical JSON, names,
// signatures, places in the log, status lists. What does not hold throws, in words.
import { createHash, createPublicKey, verify } from 'node:crypto';
import { gunzipSync } from 'node:zlib';

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const SHA2_256 = [0x12, 0x20];
const ED25519_PUB = [0xed, 0x01];
const LIST_BYTES_MAX = 256 * 1024;
/** What a proof may say beside its value: anything else would narrow what it is good for. */
const OPTIONS = ['@context', 'type', 'cryptosuite', 'created', 'verificationMethod', 'proofPurpose'];
const HEADER = ['alg', 'typ', 'cty', 'kid', 'iss'];

/** Throws unless it is so. */
export function must(so, told) {
  if (!so) throw new Error(told);
}

/** JCS of what a record may hold: strings, and integers that JavaScript writes as JCS does. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

/** SHA-256 of texts (as UTF-8) and bytes, one after the other. */
export const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

/** Multibase base58btc: `z` and the digits, a leading "1" for every leading zero byte. */
export function base58(bytes) {
  let number = BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
  let digits = '';
  for (; number > 0n; number /= 58n) digits = ALPHABET[Number(number % 58n)] + digits;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return `z${'1'.repeat(zeros < 0 ? bytes.length : zeros)}${digits}`;
}

/** The bytes of such a text, which must be written as `base58` writes them. */
export function bytesOf(text, told) {
  must(typeof text === 'string' && /^z[1-9A-HJ-NP-Za-km-z]{1,100}$/.test(text), `${told} is not base58btc`);
  const number = [...text.slice(1)].reduce((sum, digit) => sum * 58n + BigInt(ALPHABET.indexOf(digit)), 0n);
  const hex = number === 0n ? '' : number.toString(16);
  const bytes = Buffer.concat([Buffer.alloc(text.match(/^z(1*)/)[1].length), Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')]);
  must(base58(bytes) === text, `${told} is not base58btc`);
  return bytes;
}

/** 32 bytes of `0x` and 64 hexadecimal digits. */
export function word(text, told) {
  must(typeof text === 'string' && /^0x[0-9a-f]{64}$/.test(text), `${told} is no hash`);
  return Buffer.from(text.slice(2), 'hex');
}

/** A number of a file: a decimal string, written in one way. */
export function integer(text, told) {
  must(typeof text === 'string' && /^(0|-?[1-9][0-9]{0,38})$/.test(text), `${told} is no number`);
  return BigInt(text);
}

/** A moment, in Unix milliseconds. */
export function moment(text, told) {
  const at = typeof text === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(text) ? Date.parse(text) : NaN;
  must(!Number.isNaN(at), `${told} is no moment`);
  return at;
}

/** The key of a `did:key` of Ed25519. */
function keyOf(device) {
  must(typeof device === 'string' && device.startsWith('did:key:'), `${device} is no did:key`);
  const bytes = bytesOf(device.slice('did:key:'.length), device);
  must(bytes.length === 34 && ED25519_PUB.every((byte, at) => bytes[at] === byte), `${device} is no Ed25519 key`);
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: bytes.subarray(2).toString('base64url') }, format: 'jwk' });
}

/** The device of a verification method `did:key:z6Mk…#z6Mk…`. */
function deviceOf(method) {
  const [device, fragment] = String(method).split('#');
  must(device === `did:key:${fragment}`, `${method} is no key of a did:key`);
  return device;
}

/** Which device has signed a JSON document by `eddsa-jcs-2022`. */
export function signer(document) {
  const { proof, ...unsecured } = document;
  must(proof !== null && typeof proof === 'object' && !Array.isArray(proof), 'it has no proof');
  const { proofValue, ...options } = proof;
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  must(unknown === undefined, `its proof has a member ${unknown}`);
  const form = { type: 'DataIntegrityProof', cryptosuite: 'eddsa-jcs-2022', proofPurpose: 'assertionMethod' };
  for (const [name, value] of Object.entries(form)) must(options[name] === value, `its proof's ${name} is not ${value}`);
  if ('@context' in options) {
    const [own, theirs] = [unsecured['@context'], options['@context']].map((context) => [context].flat());
    must(canonical(own.slice(0, theirs.length)) === canonical(theirs), "its @context does not begin with its proof's");
    unsecured['@context'] = options['@context'];
  }
  const device = deviceOf(options.verificationMethod);
  const data = Buffer.concat([sha256(canonical(options)), sha256(canonical(unsecured))]);
  must(verify(null, data, keyOf(device), bytesOf(proofValue, 'its signature')), `it is not what ${device} has signed`);
  return device;
}

const json = (text) => JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));

/** A credential, signed in either way (docs/credentials.md, "Form"): what it says, and which device has signed it. */
export function credential(secured) {
  if (typeof secured !== 'string') {
    must(secured !== null && typeof secured === 'object', 'it is no credential');
    const { proof, ...said } = secured;
    return { said, device: signer(secured) };
  }
  const [header, payload, signature, ...more] = secured.split('.');
  must(signature !== undefined && more.length === 0, 'it is no token');
  const named = json(header);
  const unknown = Object.keys(named).find((name) => !HEADER.includes(name));
  must(unknown === undefined, `its header has a member ${unknown}`);
  must(named.alg === 'EdDSA' && named.typ === 'vc+jwt' && ['vc', undefined].includes(named.cty), 'it is no vc+jwt with EdDSA');
  const device = deviceOf(named.kid);
  must(verify(null, `${header}.${payload}`, keyOf(device), Buffer.from(signature, 'base64url')), `it is not what ${device} has signed`);
  return { said: json(payload), device };
}

/** A record: its id is what it says, and its device has signed it. */
export function genuine(record) {
  const { id, proof, ...said } = record;
  must(id === base58([...SHA2_256, ...sha256(canonical(said))]), 'its id is not that of what it says');
  must(signer(record) === record.device, 'its device has not signed it');
}

/** Whether an entry is in the tree of a log (RFC 9162, section 2.1.3.2): its place counts from 1, and its leaf is its receipt. */
export function included({ seq, id, received }, { size, root }, path) {
  const [leaves, place] = [integer(size, 'size'), integer(seq, 'seq')];
  if (place < 1n || place > leaves) return false;
  let [at, last] = [place - 1n, leaves - 1n];
  let hash = sha256(Buffer.of(0), canonical({ id, received, seq }));
  for (const text of path) {
    if (last === 0n) return false;
    const beside = word(text, 'a hash of the path');
    if (at % 2n === 1n || at === last) {
      hash = sha256(Buffer.of(1), beside, hash);
      while (at % 2n === 0n && at !== 0n) [at, last] = [at / 2n, last / 2n];
    } else {
      hash = sha256(Buffer.of(1), hash, beside);
    }
    [at, last] = [at / 2n, last / 2n];
  }
  return last === 0n && hash.equals(word(root, 'root'));
}

/** Whether a status list of this hub (Bitstring Status List v1.0) has the bit of an entry, at a moment. */
export function isRevoked(entry, list, hub, now) {
  const { said, device } = credential(list);
  must(device === hub && said.issuer === hub, 'its list is not of the hub');
  must(said.type?.[1] === 'BitstringStatusListCredential' && said.id === entry.statusListCredential, 'its list is another one');
  must(moment(said.validFrom, 'validFrom') <= now && now < moment(said.validUntil, 'validUntil'), 'its list is not of that time');
  const { type, statusPurpose, encodedList } = said.credentialSubject;
  must(type === 'BitstringStatusList' && statusPurpose === 'revocation' && entry.statusPurpose === 'revocation', 'its list is no list of revocations');
  must(String(encodedList).startsWith('u'), 'its list is not base64url');
  const bits = gunzipSync(Buffer.from(encodedList.slice(1), 'base64url'), { maxOutputLength: LIST_BYTES_MAX });
  const index = Number(integer(entry.statusListIndex, 'statusListIndex'));
  must(index >= 0 && index < bits.length * 8, 'it has no place on its list');
  return (bits[Math.floor(index / 8)] & (0x80 >> (index % 8))) !== 0;
}
