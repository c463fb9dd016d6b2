// A hub of its own for a file of tests: the binary that EARNEST_BIN names, over an empty folder. No chain: wallets sign by their keys.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Hub } from '../ethers/client/account.mjs';

const START_WAIT_MS = 60_000;
const LOOK_EVERY_MS = 50;

/** A port that is free on 127.0.0.1. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts one and waits until it answers. Its origin is of localhost: browsers make no passkeys for an address. */
export async function startHub() {
  const binary = process.env.EARNEST_BIN;
  if (!binary) throw new Error('EARNEST_BIN is not set: run these tests by ./scripts/test browser');
  const folder = mkdtempSync(join(tmpdir(), 'earnest-browser-'));
  const port = await freePort();
  const hub = new Hub(`http://localhost:${port}`);
  const config = join(folder, 'earnest.toml');
  writeFileSync(config, `[hub]
listen = "127.0.0.1:${port}"
database = "sqlite:${folder}/hub.sqlite"
data = "${folder}"
public_url = "${hub.url}"
indexers = { "eip155:31337" = "http://127.0.0.1:9" }
personhood = "open"
`);
  // It ends when its input closes, so also when this process dies.
  const child = spawn(binary, ['hub', '--with-parent', '--config', config], { stdio: ['pipe', 'inherit', 'inherit'] });
  const ended = once(child, 'exit');
  let running = true;
  ended.then(() => { running = false; });
  const stop = async () => {
    child.stdin.end();
    await ended;
    rmSync(folder, { recursive: true });
  };
  const until = Date.now() + START_WAIT_MS;
  while (!(await fetch(`${hub.url}/ready`).then(({ ok }) => ok, () => false))) {
    if (!running || Date.now() > until) {
      await stop();
      throw new Error(`${binary} does not start over ${config}`);
    }
    await pause(LOOK_EVERY_MS);
  }
  return Object.assign(hub, { stop });
}
