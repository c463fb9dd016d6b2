// The hub's own pages as people use them: /sign-in (docs/identity.md, "Passkeys"), and /docs (docs/api.md).
import assert from 'node:assert/strict';
import test from 'node:test';
import { Person } from '../ethers/client/account.mjs';
import { Machine, startSite } from './machine.mjs';
import { hubAndBrowser } from './opening.mjs';

const PHONE = { width: 320, height: 640 };

const { hub, browser } = await hubAndBrowser();

/** A machine in front of the page, until the test ends; with a wallet in its browser where one is given. */
async function machineAt(t, { wallet, ...options } = {}) {
  const machine = await Machine.start(browser, options);
  t.after(() => machine.stop());
  if (wallet) await machine.hold(wallet);
  return { machine, page: await machine.open(`${hub.url}/sign-in`) };
}

const button = (page, name) => page.getByRole('button', { name, exact: true });
const told = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();
/** The devices that speak for an account. */
const speaking = async ({ account }) =>
  (await hub.ask(`/v1/accounts/${account}`)).devices.filter(({ authorised }) => authorised).map(({ device }) => device);
const passkeysOf = async ({ account }) => (await hub.ask(`/v1/accounts/${account}`)).passkeys;

/** Somebody who has signed in with a wallet. */
async function joined(t, options = {}) {
  const person = await Person.arrive(hub, 'Anna');
  const { machine, page } = await machineAt(t, { wallet: person.wallet, ...options });
  await page.getByLabel('The id of your account').fill(person.account);
  await button(page, 'Sign in with a wallet').click();
  await told(page, 'You are signed in.');
  return { person, machine, page };
}

/** Somebody who has made a passkey, too. */
async function withPasskey(t, options) {
  const { person, machine, page } = await joined(t, options);
  await button(page, 'Make a passkey').click();
  await told(page, 'The passkey is made');
  return { person, machine, page };
}

test('a passkey made on one machine signs in on another, and out again', async (t) => {
  const { person, machine } = await withPasskey(t, { synced: true });
  assert.equal((await passkeysOf(person)).length, 1);
  assert.equal((await speaking(person)).length, 2);

  const { machine: another, page } = await machineAt(t, { synced: true });
  for (const credential of await machine.credentials()) await another.take(credential);
  await button(page, 'Sign in with a passkey').click();
  await told(page, 'You are signed in.');
  await page.getByRole('heading', { name: 'Anna' }).waitFor();
  assert.equal(await page.locator('#id').textContent(), person.account);
  assert.equal((await speaking(person)).length, 3);
  // Who comes back is known; who has signed out is not, here and at the hub.
  await page.reload();
  await page.getByRole('heading', { name: 'Anna' }).waitFor();
  await button(page, 'Sign out').click();
  await told(page, 'This browser speaks for the account no more.');
  assert.equal((await speaking(person)).length, 2);
  await page.reload();
  await button(page, 'Sign in with a passkey').waitFor();
});

test('a device that the hub took while its answer was lost speaks when the page is loaded anew', async (t) => {
  const person = await Person.arrive(hub, 'Anna');
  const { page } = await machineAt(t, { wallet: person.wallet });
  await page.route('**/v1/records', async (route) => {
    await route.fetch();
    await route.abort();
  });
  await page.getByLabel('The id of your account').fill(person.account);
  await button(page, 'Sign in with a wallet').click();
  await told(page, 'The hub does not answer');
  await page.unroute('**/v1/records');
  assert.equal((await speaking(person)).length, 2);
  await page.reload();
  await page.getByRole('heading', { name: 'Anna' }).waitFor();
});

test('the secret key of a device is not even for the page', async (t) => {
  const { page } = await joined(t);
  const refused = await page.evaluate(async () => {
    const opening = indexedDB.open('earnest');
    await new Promise((resolve) => { opening.onsuccess = resolve; });
    const request = opening.result.transaction('kept').objectStore('kept').get('device');
    await new Promise((resolve) => { request.onsuccess = resolve; });
    const { privateKey } = request.result;
    return crypto.subtle.exportKey('pkcs8', privateKey).catch(({ name }) => name);
  });
  assert.equal(refused, 'InvalidAccessError');
});

test('a passkey is taken away, and signs in no more', async (t) => {
  const { person, machine, page } = await withPasskey(t);
  const [credential] = await machine.credentials();
  await page.getByRole('button', { name: /^Take away the passkey did:key:z/ }).click();
  await told(page, 'The passkey is taken away');
  await page.getByText('The account has none.').waitFor();
  assert.deepEqual(await passkeysOf(person), []);

  const { machine: another, page: there } = await machineAt(t);
  await another.take(credential);
  await button(there, 'Sign in with a passkey').click();
  await told(there, 'The account has this passkey no more.');
  assert.equal((await speaking(person)).length, 2);
});

test('what goes wrong is told, and changes nothing', async (t) => {
  const { person, page } = await withPasskey(t);
  await button(page, 'Make a passkey').click();
  await told(page, 'Your authenticator has a passkey of this account');
  const { page: stranger } = await machineAt(t);
  await button(stranger, 'Sign in with a passkey').click();
  await told(stranger, 'The passkey was not used');
  const id = stranger.getByLabel('The id of your account');
  await id.fill(person.account);
  await button(stranger, 'Sign in with a wallet').click();
  await told(stranger, 'This browser has no wallet');
  const { page: other } = await machineAt(t, { wallet: (await Person.arrive(hub, 'Ben')).wallet });
  await other.getByLabel('The id of your account').fill(person.account);
  await button(other, 'Sign in with a wallet').click();
  await told(other, 'The wallet shows 0x');
  assert.equal((await passkeysOf(person)).length, 1);
  assert.equal((await speaking(person)).length, 2);
});

test('a passkey that the account did not get is not offered again', async (t) => {
  const { person, machine, page } = await joined(t);
  await page.evaluate(() => { window.ethereum.request = async () => { throw new Error('The wallet said no.'); }; });
  await button(page, 'Make a passkey').click();
  await told(page, 'The wallet said no.');
  assert.deepEqual(await passkeysOf(person), []);
  assert.deepEqual(await machine.credentials(), []);
});

test('a browser that was silenced is a stranger', async (t) => {
  const { person, page } = await joined(t);
  const [device] = (await speaking(person)).filter((did) => did !== person.device.did);
  const by = await person.word(`Let the device ${device} speak for my account ${person.account} on Earnest no more.`);
  await person.say('device@1', { revoke: { device, by } });
  await page.reload();
  await told(page, 'This browser speaks for the account no more.');
  await button(page, 'Sign in with a passkey').waitFor();
});

test('it is used by keyboard, and fits a phone', async (t) => {
  const { person, machine } = await withPasskey(t, { synced: true });
  const { machine: phone, page } = await machineAt(t, { synced: true });
  for (const credential of await machine.credentials()) await phone.take(credential);
  await page.setViewportSize(PHONE);
  await button(page, 'Sign in with a passkey').waitFor();
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(await width(), PHONE.width);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await told(page, 'You are signed in.');
  assert.equal(await width(), PHONE.width);
  // From the heading that has the focus now: past the passkey and the making of one.
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Anna');
  for (const name of [/^Take away/, 'Make a passkey', 'Sign out']) {
    await page.keyboard.press('Tab');
    assert.ok(await page.getByRole('button', { name }).evaluate((one) => one === document.activeElement), `${name}`);
  }
  await page.keyboard.press('Enter');
  await told(page, 'This browser speaks for the account no more.');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Sign in');
  assert.equal((await speaking(person)).length, 2);
});

test('it asks no other machine, breaks no rule of its own, and stands in no frame', async (t) => {
  const { machine, page } = await machineAt(t);
  const [asked, wrong] = [[], []];
  page.on('request', (request) => asked.push(request.url()));
  page.on('console', (message) => wrong.push(message.text()));
  page.on('pageerror', (error) => wrong.push(error.message));
  await page.reload();
  await button(page, 'Sign in with a passkey').waitFor();
  assert.ok(asked.length >= 5 && asked.every((url) => url.startsWith(`${hub.url}/`)), asked.join('\n'));
  assert.deepEqual(wrong, []);

  const site = await startSite(`<iframe src="${hub.url}/sign-in" allow="publickey-credentials-get *"></iframe>`);
  t.after(site.stop);
  await machine.open(`http://localhost:${site.port}/`);
  assert.deepEqual(page.frames().filter((frame) => frame.url().startsWith(hub.url)), []);
  assert.match(wrong.join('\n'), /frame-ancestors 'none'/);
});

test('the page of the description asks this hub alone, and breaks no rule of its own', async (t) => {
  const { page } = await machineAt(t);
  const [asked, wrong] = [[], []];
  page.on('request', (request) => asked.push(request.url()));
  page.on('console', (message) => wrong.push(message.text()));
  page.on('pageerror', (error) => wrong.push(error.message));
  await page.goto(`${hub.url}/docs`);
  await page.getByRole('heading', { name: 'Earnest hub' }).waitFor();
  const operation = page.locator('.opblock-get', { has: page.locator('[data-path="/v1/log/head"]') });
  await operation.locator('.opblock-summary-control').click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  await operation.locator('.live-responses-table tbody .response-col_status', { hasText: '200' }).first().waitFor();
  assert.ok(asked.includes(`${hub.url}/v1/log/head`), asked.join('\n'));
  // Its style sheet has pictures within, which are of no machine.
  const elsewhere = asked.filter((url) => !url.startsWith(`${hub.url}/`) && !url.startsWith('data:'));
  assert.deepEqual(elsewhere, []);
  assert.deepEqual(wrong, []);
});

test('at another address it says where it is', async (t) => {
  const { page } = await machineAt(t);
  await page.goto(`${hub.url.replace('localhost', '127.0.0.1')}/sign-in`);
  await told(page, `open ${hub.url}/sign-in`);
  assert.ok(!(await button(page, 'Sign in with a passkey').isVisible()));
});
