// What the page does when somebody presses one of its buttons.
import { ask, forget, make } from './passkey.mjs';
import { newDevice, record, utf8 } from './record.mjs';

const at = (id) => document.getElementById(id);
/** Who this browser speaks for: `{account, did, privateKey}`; none of a stranger. */
let device;

/** What this browser keeps: one object, under one name. */
function kept(mode, deed) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open('earnest', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('kept');
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const change = opening.result.transaction('kept', mode);
      const request = deed(change.objectStore('kept'));
      change.oncomplete = () => { opening.result.close(); resolve(request.result); };
      change.onabort = () => reject(change.error);
    };
  });
}
const load = () => kept('readonly', (store) => store.get('device'));
const keep = (one) => kept('readwrite', (store) => store.put(one, 'device'));
const lose = () => kept('readwrite', (store) => store.delete('device'));

/** The hub's answer, or throws what its refusal says. */
async function hub(path, body) {
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(path, { cache: 'no-store', ...(body && post) }).catch(() => undefined);
  const json = await answer?.json().catch(() => undefined);
  // Where no answer comes, or it failed on the way, the hub may have taken it.
  if (!json) throw Object.assign(new Error('The hub does not answer: load this page anew.'), { unknown: true });
  if (!answer.ok) throw Object.assign(new Error(json.detail), { status: answer.status, unknown: answer.status >= 500 });
  return json;
}
const fields = () => hub('/v1/sign-in/nonce');
const viewOf = (account) => hub(`/v1/accounts/${encodeURIComponent(account)}`);
const say = async (one, type, body) => hub('/v1/records', await record(one.account, one, type, body));

/** What speaks for the browser's wallets. */
function provider() {
  if (!window.ethereum) throw new Error('This browser has no wallet of an EVM chain: use one that has.');
  return window.ethereum;
}

/** What a wallet of the account says at the hub: an EIP-4361 message and its signature. */
async function word({ wallets }, statement, resources = []) {
  const ethereum = provider();
  const shown = (await ethereum.request({ method: 'eth_requestAccounts' })).map((one) => one.toLowerCase());
  const wallet = wallets.find((one) => one.startsWith('eip155:') && shown.includes(one.split(':')[2].toLowerCase()));
  if (!wallet) throw new Error(`The wallet shows ${shown.join(', ')}, and the account has ${wallets.join(', ')}.`);
  const [, chain, address] = wallet.split(':');
  const { domain, uri, nonce, issued_at, expiration_time } = await fields();
  const message = [
    `${domain} wants you to sign in with your Ethereum account:`, address, '', statement, '',
    `URI: ${uri}`, 'Version: 1', `Chain ID: ${chain}`, `Nonce: ${nonce}`, `Issued At: ${issued_at}`, `Expiration Time: ${expiration_time}`,
    ...(resources.length > 0 ? ['Resources:', ...resources.map((one) => `- ${one}`)] : []),
  ].join('\n');
  const bytes = `0x${Array.from(utf8(message), (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  return { message, signature: await ethereum.request({ method: 'personal_sign', params: [bytes, address] }) };
}

/** This browser speaks for the account from here on. The key is kept first, so that no device speaks whose key is lost. */
async function speak(one, body) {
  if (await load()) throw new Error('This browser has a key already: load this page anew.');
  await keep(one);
  try {
    await say(one, 'device@1', body);
  } catch (error) {
    if (!error.unknown) await lose();
    throw error;
  }
  device = one;
}

async function signIn() {
  const [here, fresh] = [await fields(), await newDevice()];
  const { account, credential, said } = await ask(here, fresh);
  const known = (await viewOf(account)).passkeys.find((one) => one.credential === credential);
  if (!known) {
    await forget(here, credential);
    throw new Error('The account has this passkey no more.');
  }
  await speak({ account, ...fresh }, { add_by_passkey: { passkey: known.passkey, ...said } });
  return 'You are signed in.';
}

async function join() {
  const account = at('account').value.trim();
  const [view, fresh] = [await viewOf(account), await newDevice()];
  const add = await word(view, 'Let this device speak for me on Earnest.', [fresh.did]);
  await speak({ account, ...fresh }, { add });
  return 'You are signed in.';
}

async function makeOne() {
  // Before a passkey is made that nobody can vouch for.
  provider();
  const [here, view] = [await fields(), await viewOf(device.account)];
  const { passkey, credential, add } = await make(here, view);
  try {
    const by = await word(view, `Let the passkey ${passkey} bring devices to my account ${device.account} on Earnest.`);
    await say(device, 'passkey@1', { add: { ...add, by } });
  } catch (error) {
    if (!error.unknown) await forget(here, credential);
    throw error;
  }
  return 'The passkey is made: sign in with it wherever you have it.';
}

async function takeAway({ passkey, credential }) {
  const [here, view] = [await fields(), await viewOf(device.account)];
  const by = await word(view, `Take the passkey ${passkey} away from my account ${device.account} on Earnest.`);
  await say(device, 'passkey@1', { revoke: { passkey, by } });
  await forget(here, credential);
  return 'The passkey is taken away, and the devices that it brought are silent.';
}

async function leave() {
  await say(device, 'device@1', { revoke: { device: device.did, by: null } });
  await lose();
  device = undefined;
  return 'This browser speaks for the account no more.';
}

/** A passkey's line in the list. */
function line(one) {
  const [item, name, button] = ['li', 'code', 'button'].map((tag) => document.createElement(tag));
  name.textContent = one.passkey;
  button.type = 'button';
  button.textContent = 'Take away';
  button.setAttribute('aria-label', `Take away the passkey ${one.passkey}`);
  button.addEventListener('click', () => doing(() => takeAway(one)));
  item.append(name, ` since ${new Date(one.added).toLocaleDateString()} `, button);
  return item;
}

/** The account that this browser speaks for; null where it has been silenced, or the hub has no such account. */
async function standing() {
  const view = await viewOf(device.account).catch((error) => {
    if (error.status !== 404) throw error;
  });
  return view?.devices.some((one) => one.device === device.did && one.authorised) ? view : null;
}

/** Shows who this browser speaks for. Answers what is to be told of it. */
async function show() {
  const view = device && await standing();
  let told = '';
  if (view === null) {
    await lose();
    device = undefined;
    told = 'This browser speaks for the account no more.';
  }
  at('stranger').hidden = device !== undefined;
  at('known').hidden = device === undefined;
  if (device) {
    at('name').textContent = view.name;
    at('id').textContent = view.id;
    at('none').hidden = view.passkeys.length > 0;
    at('passkeys').replaceChildren(...view.passkeys.map(line));
  }
  return told;
}

const REFUSED = {
  InvalidStateError: 'Your authenticator has a passkey of this account: one is enough.',
  NotAllowedError: 'The passkey was not used: it was declined, or took too long.',
  SecurityError: 'Browsers make passkeys for names, and this hub has none: its address is a number.',
  NotSupportedError: 'This browser cannot make Ed25519 keys: a newer one can.',
};

/** One thing at a time, and what came of it in words. Buttons stay: whoever comes by keyboard keeps their place. */
async function doing(deed) {
  const main = document.querySelector('main');
  if (main.ariaBusy === 'true') return;
  main.ariaBusy = 'true';
  const pressed = document.activeElement;
  at('told').textContent = '';
  let told;
  try {
    const done = await deed();
    told = await show() || done;
  } catch (error) {
    told = REFUSED[error.name] ?? error.message;
  }
  main.ariaBusy = 'false';
  at('told').textContent = told;
  // What was pressed is gone: the heading of what is there now.
  if (!pressed.checkVisibility()) at(device ? 'name' : 'sign-in').focus();
}

at('ask').addEventListener('click', () => doing(signIn));
at('make').addEventListener('click', () => doing(makeOne));
at('leave').addEventListener('click', () => doing(leave));
at('join').addEventListener('submit', (event) => {
  event.preventDefault();
  doing(join);
});

await doing(async () => {
  if (!window.isSecureContext) throw new Error('Browsers keep keys for pages of https alone, and for those of this machine.');
  const { uri } = await fields();
  if (new URL(uri).origin !== location.origin) throw new Error(`Passkeys of this hub are for its own address: open ${uri}/sign-in`);
  device = await load();
  return '';
});
