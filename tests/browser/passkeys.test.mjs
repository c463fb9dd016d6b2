// Passkeys as a real browser makes and asks them, in pages of a real hub: docs/identity.md, "Passkeys".
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import test from 'node:test';
import { Device, Person, didOf } from '../ethers/client/account.mjs';
import { Machine, startSite } from './machine.mjs';
import { hubAndBrowser } from './opening.mjs';

const ES256 = -7;
const EDDSA = -8;

const { hub, browser } = await hubAndBrowser();

/** Any page of the hub's origin. */
const page = () => `${hub.url}/openapi.json`;
/** What a refusal must say. */
const refusal = (rule) => ({ name: 'Refused', rule });

/** A machine in front of a page, until the test ends. */
async function machineAt(t, url = page(), options = {}) {
  const machine = await Machine.start(browser, options);
  t.after(() => machine.stop());
  await machine.open(url);
  return machine;
}

/** What a page asks for a new passkey with, under a fresh nonce. */
async function creation({ account }, kinds = [EDDSA, ES256]) {
  const { nonce, rp_id } = await hub.fields();
  const { name, passkeys } = await hub.ask(`/v1/accounts/${account}`);
  const make = {
    rp: { id: rp_id, name: 'Earnest' },
    user: { id: account, name, displayName: name },
    pubKeyCredParams: kinds.map((alg) => ({ type: 'public-key', alg })),
    attestation: 'none',
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    excludeCredentials: passkeys.map(({ credential }) => ({ type: 'public-key', id: credential })),
  };
  return { nonce, make, statement: `Make a passkey for my account ${account} on Earnest. Nonce: ${nonce}` };
}

/** A new passkey of the machine's: its name, and the body of the `passkey@1` by which it joins the person's account. */
async function made(machine, person, asked) {
  const { nonce, ...what } = asked ?? await creation(person);
  const { publicKey, authenticator_data, client_data } = await machine.ceremony(what);
  const passkey = didOf(createPublicKey({ key: Buffer.from(publicKey, 'base64url'), format: 'der', type: 'spki' }));
  const by = await person.word(`Let the passkey ${passkey} bring devices to my account ${person.account} on Earnest.`);
  return { passkey, body: { add: { nonce, authenticator_data, client_data, by } } };
}

/** Somebody whose machine has a passkey of the account. */
async function withPasskey(t, { kinds, synced } = {}) {
  const person = await Person.arrive(hub, 'Anna');
  const machine = await machineAt(t, page(), { synced });
  const { passkey, body } = await made(machine, person, kinds && await creation(person, kinds));
  await person.say('passkey@1', body);
  return { person, machine, passkey };
}

/** What a machine's passkey says for a device: its account, and `add_by_passkey` of a `device@1`. */
async function asked(machine, { did }, { nonce, origin, ...more } = {}) {
  const fields = await hub.fields();
  const under = nonce ?? fields.nonce;
  const ask = { rpId: fields.rp_id, userVerification: 'required', ...more };
  const statement = `Let the device ${did} speak for me on Earnest. Nonce: ${under}`;
  const { id, account, ...said } = await machine.ceremony({ statement, ask }, origin);
  const { passkeys } = await hub.ask(`/v1/accounts/${account}`);
  const passkey = passkeys.find(({ credential }) => credential === id)?.passkey;
  return { account, word: { passkey, device: did, nonce: under, ...said } };
}

/** The device says that it speaks by the word of a passkey. */
const bring = (device, { account, word }) => hub.say(device.record('device@1', account, { add_by_passkey: word }));

/** Its own session, and a record: what a device that speaks may do. */
async function speaks(device, account) {
  const token = await hub.session(account, device);
  await hub.ask('/v1/tokens', { token });
  const profile = { name: 'Anna', text: `Said by ${device.did}`, languages: ['en'], avatar: null };
  await hub.say(device.record('profile@1', account, profile));
  const { profile: { text }, devices } = await hub.ask(`/v1/accounts/${account}`, { token });
  assert.equal(text, profile.text);
  assert.deepEqual(devices.find((one) => one.device === device.did), { device: device.did, authorised: true });
  return token;
}

for (const [name, alg, did] of [['ES256', ES256, 'did:key:zDn'], ['EdDSA', EDDSA, 'did:key:z6Mk']]) {
  test(`a passkey of ${name} lets a new machine's device speak`, async (t) => {
    const { person, machine, passkey } = await withPasskey(t, { kinds: [alg], synced: true });
    assert.ok(passkey.startsWith(did), passkey);
    const another = await machineAt(t, page(), { synced: true });
    for (const credential of await machine.credentials()) await another.take(credential);
    const device = new Device();
    await assert.rejects(hub.session(person.account, device), { status: 401 });
    const said = await asked(another, device);
    assert.equal(said.account, person.account);
    assert.equal(said.word.passkey, passkey);
    await bring(device, said);
    await speaks(device, person.account);
  });
}

test('a passkey is for the account that it was made for', async (t) => {
  const [anna, ben] = [await Person.arrive(hub, 'Anna'), await Person.arrive(hub, 'Ben')];
  const machine = await machineAt(t);
  const { body } = await made(machine, ben, await creation(anna));
  await assert.rejects(ben.say('passkey@1', body), refusal('passkey_challenge'));
});

test('an authenticator makes no second passkey for an account', async (t) => {
  const { person, machine } = await withPasskey(t);
  await assert.rejects(made(machine, person), /InvalidStateError/);
});

test('a word for one device is for no other', async (t) => {
  const { machine } = await withPasskey(t);
  const [device, other] = [new Device(), new Device()];
  const { account, word } = await asked(machine, device);
  await assert.rejects(bring(other, { account, word: { ...word, device: other.did } }), refusal('passkey_challenge'));
  await assert.rejects(bring(other, { account, word }), { name: 'Refused', status: 403 });
  await bring(device, { account, word });
  await speaks(device, account);
});

test('a nonce serves once, and the hub gives it', async (t) => {
  const { machine } = await withPasskey(t);
  const [first, second] = [new Device(), new Device()];
  const said = await asked(machine, first);
  await bring(first, said);
  const { nonce } = said.word;
  await assert.rejects(bring(second, await asked(machine, second, { nonce })), refusal('nonce'));
  await assert.rejects(bring(second, await asked(machine, second, { nonce: '0123456789abcdef' })), refusal('nonce'));
  await assert.rejects(hub.session(said.account, second), { status: 401 });
});

test('a page of another origin gets no word that the hub takes', async (t) => {
  const { machine } = await withPasskey(t);
  const site = await startSite('');
  t.after(site.stop);
  // Another port of the same host: the same relying party to the browser, which lets it ask.
  await machine.open(`http://localhost:${site.port}/`);
  const device = new Device();
  await assert.rejects(bring(device, await asked(machine, device)), refusal('passkey_origin'));
  // Another host: the browser itself lets it neither ask for the hub's nor make one.
  await machine.open(`http://elsewhere.localhost:${site.port}/`);
  await assert.rejects(asked(machine, device), /SecurityError/);
  const stranger = await Person.arrive(hub, 'Ben');
  await assert.rejects(made(machine, stranger), /SecurityError/);
});

test('a passkey of another relying party joins no account', async (t) => {
  const person = await Person.arrive(hub, 'Anna');
  const site = await startSite('');
  t.after(site.stop);
  const machine = await machineAt(t, `http://elsewhere.localhost:${site.port}/`);
  const wanted = await creation(person);
  const make = { ...wanted.make, rp: { id: 'elsewhere.localhost', name: 'Earnest' } };
  const { body } = await made(machine, person, { ...wanted, make });
  await assert.rejects(person.say('passkey@1', body), refusal('passkey_origin'));
  // Nor does a page of the hub's make one for it.
  await machine.open(page());
  await assert.rejects(made(machine, person, { ...await creation(person), make }), /SecurityError/);
});

test("a page within one of another's gets no word that the hub takes", async (t) => {
  const { machine } = await withPasskey(t);
  const frame = (allow) => startSite(`<iframe src="${page()}" allow="${allow}"></iframe>`);
  const device = new Device();
  const site = await frame('publickey-credentials-get *');
  t.after(site.stop);
  await machine.open(`http://localhost:${site.port}/`);
  const said = await asked(machine, device, { origin: hub.url });
  const { origin, crossOrigin } = JSON.parse(Buffer.from(said.word.client_data, 'base64url'));
  assert.deepEqual({ origin, crossOrigin }, { origin: hub.url, crossOrigin: true });
  await assert.rejects(bring(device, said), refusal('passkey_origin'));
  const strict = await frame('');
  t.after(strict.stop);
  await machine.open(`http://localhost:${strict.port}/`);
  await assert.rejects(asked(machine, device, { origin: hub.url }), /NotAllowedError/);
});

test('whoever is not known to the authenticator brings in no device', async (t) => {
  const { machine } = await withPasskey(t);
  await machine.verifies(false);
  const device = new Device();
  await assert.rejects(asked(machine, device), /NotAllowedError/);
  const said = await asked(machine, device, { userVerification: 'discouraged' });
  await assert.rejects(bring(device, said), refusal('passkey_user'));
});

test('a copied key is noticed by its count', async (t) => {
  const { machine } = await withPasskey(t);
  const thief = await machineAt(t);
  for (const credential of await machine.credentials()) await thief.take(credential);
  const [ours, theirs] = [new Device(), new Device()];
  await bring(ours, await asked(machine, ours));
  await assert.rejects(bring(theirs, await asked(thief, theirs)), refusal('passkey_counter'));
});

test('a passkey that was taken away brings in no device, and those it brought are silent', async (t) => {
  const { person, machine, passkey } = await withPasskey(t);
  const [first, second] = [new Device(), new Device()];
  await bring(first, await asked(machine, first));
  const token = await speaks(first, person.account);
  const said = await asked(machine, second);
  const by = await person.word(`Take the passkey ${passkey} away from my account ${person.account} on Earnest.`);
  await person.say('passkey@1', { revoke: { passkey, by } });
  await assert.rejects(bring(second, said), refusal('passkey_unknown'));
  const { account, word } = await asked(machine, second);
  await assert.rejects(bring(second, { account, word: { ...word, passkey } }), refusal('passkey_unknown'));
  await assert.rejects(hub.session(person.account, second), { status: 401 });
  await assert.rejects(hub.ask('/v1/tokens', { token }), { status: 401 });
  await assert.rejects(hub.session(person.account, first), { status: 401 });
});
