// Machines with a browser and an authenticator built into them: Debian's Chromium, and its own virtual authenticator (WebAuthn, section 11).
import { once } from 'node:events';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const START_WAIT_MS = 120_000;
// It opens pages of this machine alone; what else it would ask for, it does without.
const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

/** Starts Chromium over an empty profile. */
export const startChromium = () => chromium.launch({ executablePath: CHROMIUM, headless: true, args: QUIET, timeout: START_WAIT_MS });

/**
 * In the page: makes a passkey or asks one under the challenge of a statement, as docs/identity.md says. Bytes come back in base64url.
 * The browser's own refusal is a DOMException, whose name the caller reads in the error.
 */
async function ceremony({ statement, make, ask }) {
  const utf8 = (text) => new TextEncoder().encode(text);
  const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (one) => one.charCodeAt(0));
  const challenge = await crypto.subtle.digest('SHA-256', utf8(statement));
  if (make) {
    const user = { ...make.user, id: utf8(make.user.id) };
    const excludeCredentials = make.excludeCredentials.map((one) => ({ ...one, id: bytes(one.id) }));
    const { id, response } = await navigator.credentials.create({ publicKey: { ...make, user, excludeCredentials, challenge } });
    return {
      id,
      authenticator_data: base64url(response.getAuthenticatorData()),
      client_data: base64url(response.clientDataJSON),
      publicKey: base64url(response.getPublicKey()),
    };
  }
  const { id, response } = await navigator.credentials.get({ publicKey: { ...ask, challenge } });
  return {
    id,
    account: new TextDecoder().decode(response.userHandle),
    authenticator_data: base64url(response.authenticatorData),
    client_data: base64url(response.clientDataJSON),
    signature: base64url(response.signature),
  };
}

/** A browser's storage of its own, as on another machine, with an authenticator that verifies its person. */
export class Machine {
  #context;
  #page;
  #devtools;
  #authenticator;

  static async start(browser, { synced = false } = {}) {
    const machine = new Machine();
    machine.#context = await browser.newContext();
    machine.#page = await machine.#context.newPage();
    machine.#devtools = await machine.#context.newCDPSession(machine.#page);
    await machine.#devtools.send('WebAuthn.enable');
    const options = {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true, defaultBackupEligibility: synced, defaultBackupState: synced,
    };
    const { authenticatorId } = await machine.#devtools.send('WebAuthn.addVirtualAuthenticator', { options });
    machine.#authenticator = authenticatorId;
    return machine;
  }

  stop() {
    return this.#context.close();
  }

  /** Opens a page. */
  async open(url) {
    await this.#page.goto(url);
    return this.#page;
  }

  /** Puts a wallet before every page that is opened from now on, as an extension would (EIP-1193). */
  async hold(wallet) {
    await this.#context.exposeFunction('walletSigns', (bytes) => wallet.signMessage(Buffer.from(bytes.slice(2), 'hex')));
    await this.#context.addInitScript((address) => {
      const answers = { eth_requestAccounts: () => [address], personal_sign: ([bytes]) => window.walletSigns(bytes) };
      window.ethereum = { request: async ({ method, params }) => answers[method](params) };
    }, wallet.address.toLowerCase());
  }

  /** A ceremony in the page that is open, or in its frame of this origin. */
  async ceremony(asked, origin) {
    const frame = origin ? this.#page.frames().find((one) => one.url().startsWith(origin)) : this.#page.mainFrame();
    return frame.evaluate(ceremony, asked);
  }

  #send(method, more) {
    return this.#devtools.send(`WebAuthn.${method}`, { authenticatorId: this.#authenticator, ...more });
  }

  /** Whether its authenticator knows who is there. */
  async verifies(isUserVerified) {
    await this.#send('setUserVerified', { isUserVerified });
  }

  /** What its authenticator keeps, keys included: what a vendor's cloud carries to another machine, or a thief. */
  async credentials() {
    return (await this.#send('getCredentials')).credentials;
  }

  /** Puts a credential into its authenticator. */
  async take(credential) {
    await this.#send('addCredential', { credential });
  }
}

/** A site of somebody else's on this machine, whose every page has this body. */
export async function startSite(body) {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(`<!doctype html><title>Elsewhere</title>${body}`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.close();
    server.closeAllConnections();
    return once(server, 'close');
  };
  return { port: server.address().port, stop };
}
