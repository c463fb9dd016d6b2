// What every file of these tests opens with.
import { after } from 'node:test';
import { startHub } from './hub.mjs';
import { startChromium } from './machine.mjs';

/** A hub and a browser, which end when the tests of the file have run. */
export async function hubAndBrowser() {
  // The browser first: where it does not start, no hub is left behind.
  const browser = await startChromium();
  const hub = await startHub();
  after(async () => {
    await browser.close();
    await hub.stop();
  });
  return { hub, browser };
}
