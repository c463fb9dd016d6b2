// Records: their canonical form, their ids, and the device key of this browser that signs them.

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const SHA2_256 = [0x12, 0x20];
const ED25519_PUB = [0xed, 0x01];

export const utf8 = (text) => new TextEncoder().encode(text);
export const sha256 = async (text) => new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(text)));

/** Multibase base58btc of bytes that are not all 0: a `1` for each 0 that they begin with. */
export function multibase(bytes) {
  let rest = bytes.reduce((number, byte) => number * 256n + BigInt(byte), 0n);
  let text = '';
  for (; rest > 0n; rest /= 58n) text = ALPHABET[Number(rest % 58n)] + text;
  return `z${'1'.repeat(bytes.findIndex((byte) => byte !== 0))}${text}`;
}

/** JCS (RFC 8785) of texts, whole numbers, null, lists and objects. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

/** A new device. Its secret key never leaves the browser, not even for this page. */
export async function newDevice() {
  const { privateKey, publicKey } = await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']);
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey));
  return { did: `did:key:${multibase([...ED25519_PUB, ...raw])}`, privateKey };
}

/** A public record of the account, signed by the device (eddsa-jcs-2022). */
export async function record(account, { did, privateKey }, type, body) {
  // As records write moments: no zeros at a fraction's end.
  const created = new Date().toISOString().replace(/\.?0*Z$/, 'Z');
  const said = { type, author: account, device: did, about: null, parents: [], created, audience: ['public'], body };
  const document = { id: multibase([...SHA2_256, ...await sha256(canonical(said))]), ...said };
  const verificationMethod = `${did}#${did.slice('did:key:'.length)}`;
  const proof = { type: 'DataIntegrityProof', cryptosuite: 'eddsa-jcs-2022', verificationMethod, proofPurpose: 'assertionMethod', created };
  const hashes = [...await sha256(canonical(proof)), ...await sha256(canonical(document))];
  const signature = new Uint8Array(await crypto.subtle.sign('Ed25519', privateKey, Uint8Array.from(hashes)));
  return { ...document, proof: { ...proof, proofValue: multibase(signature) } };
}
