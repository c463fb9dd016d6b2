// Passkeys (WebAuthn): made for an account, and asked to let a device speak for it.
import { multibase, sha256, utf8 } from './record.mjs';

const ED25519_PUB = [0xed, 0x01];
const P256_PUB = [0x80, 0x24];
const ES256 = -7;
const EDDSA = -8;

const encoded = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
const decoded = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (one) => one.charCodeAt(0));

/** The did:key of a new passkey. A public key in DER ends with the point's x and y, or with the 32 bytes of Ed25519. */
function nameOf(response) {
  const key = new Uint8Array(response.getPublicKey());
  if (response.getPublicKeyAlgorithm() === EDDSA) return `did:key:${multibase([...ED25519_PUB, ...key.slice(-32)])}`;
  return `did:key:${multibase([...P256_PUB, 2 + (key.at(-1) & 1), ...key.slice(-64, -32)])}`;
}

/** Makes one for an account as `GET /v1/accounts/{id}` shows it. Answers its name, its id in the browser, and what the hub is told of it. */
export async function make({ rp_id, nonce }, { id: account, name, passkeys }) {
  const { id, response } = await navigator.credentials.create({ publicKey: {
    rp: { id: rp_id, name: 'Earnest' },
    user: { id: utf8(account), name, displayName: name },
    challenge: await sha256(`Make a passkey for my account ${account} on Earnest. Nonce: ${nonce}`),
    pubKeyCredParams: [EDDSA, ES256].map((alg) => ({ type: 'public-key', alg })),
    attestation: 'none',
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    excludeCredentials: passkeys.map(({ credential }) => ({ type: 'public-key', id: decoded(credential) })),
  } });
  const add = { nonce, authenticator_data: encoded(response.getAuthenticatorData()), client_data: encoded(response.clientDataJSON) };
  return { passkey: nameOf(response), credential: id, add };
}

/** Asks one to let the device speak. Answers the account that it is of, its id in the browser, and its word but for its name. */
export async function ask({ rp_id, nonce }, { did }) {
  const challenge = await sha256(`Let the device ${did} speak for me on Earnest. Nonce: ${nonce}`);
  const { id, response } = await navigator.credentials.get({ publicKey: { rpId: rp_id, challenge, userVerification: 'required' } });
  const said = {
    device: did,
    nonce,
    authenticator_data: encoded(response.authenticatorData),
    client_data: encoded(response.clientDataJSON),
    signature: encoded(response.signature),
  };
  return { account: new TextDecoder().decode(response.userHandle), credential: id, said };
}

/** Has the browser offer a passkey no more that the hub does not know. Not every browser can. */
export async function forget({ rp_id }, credential) {
  await PublicKeyCredential.signalUnknownCredential?.({ rpId: rp_id, credentialId: credential }).catch(() => {});
}
