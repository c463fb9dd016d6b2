// Writes out/others.json: what the tests need on the chain that is not Earnest's own. Tokens that move by signature or refuse
// a receiver, a contract wallet, an ERC-792 court that others wrote, all compiled by the solc of contracts/, and the code of
// Permit2 as it is on every chain.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const contracts = fileURLToPath(new URL('../../../contracts/', import.meta.url));
const solc = createRequire(`${contracts}package.json`)('solc');

const WANTED = {
  Account: new URL('Account.sol', import.meta.url),
  SignedToken: 'test/tokens/SignedToken.sol',
  DenylistToken: 'test/tokens/OddToken.sol',
  OddToken: 'test/tokens/OddToken.sol',
  CentralizedArbitratorWithAppeal: 'node_modules/@kleros/erc-792/contracts/examples/CentralizedArbitratorWithAppeal.sol',
};

const text = (path) => readFileSync(path instanceof URL ? path : `${contracts}${path}`, 'utf8');

/** Imports are paths under contracts/, or under its packages. */
function find(path) {
  for (const folder of ['', 'node_modules/']) {
    try {
      return { contents: text(`${folder}${path}`) };
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }
  return { error: `${path} is not there` };
}

function compile() {
  const sources = {};
  for (const [name, path] of Object.entries(WANTED)) {
    sources[path instanceof URL ? `${name}.sol` : path] = { content: text(path) };
  }
  const outputSelection = { '*': Object.fromEntries(Object.keys(WANTED).map((name) => [name, ['abi', 'evm.bytecode.object']])) };
  const settings = { evmVersion: 'cancun', outputSelection };
  const output = JSON.parse(solc.compile(JSON.stringify({ language: 'Solidity', sources, settings }), { import: find }));
  const errors = (output.errors ?? []).filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new Error(errors.map(({ formattedMessage }) => formattedMessage).join('\n'));
  const found = {};
  for (const file of Object.values(output.contracts)) {
    for (const [name, { abi, evm }] of Object.entries(file)) {
      if (name in WANTED) found[name] = { abi, bytecode: `0x${evm.bytecode.object}` };
    }
  }
  return found;
}

/** Permit2's authors ship what is deployed, as a literal in a script. */
function permit2() {
  const script = text('node_modules/@uniswap/v4-periphery/lib/permit2/test/utils/DeployPermit2.sol');
  const [, address] = /PERMIT2_ADDRESS = (0x[0-9a-fA-F]{40})/.exec(script);
  const [, code] = /hex"([0-9a-f]+)"/.exec(script);
  return { address, code: `0x${code}` };
}

const out = new URL('../out/', import.meta.url);
mkdirSync(out, { recursive: true });
writeFileSync(new URL('others.json', out), JSON.stringify({ ...compile(), Permit2: permit2() }));
