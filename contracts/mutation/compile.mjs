// npm's solc kept warm in one process, for the contracts that the tests deploy by name.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const solc = createRequire(import.meta.url)('solc');

// The IR with nothing but the placing of variables on the stack: twice as fast to compile as what is deployed.
const QUICK = {
  viaIR: true,
  optimizer: { enabled: false, details: { yul: true, yulDetails: { stackAllocation: true, optimizerSteps: ':' } } },
};

/** The syntax tree of one source. */
export function treeOf(root, file) {
  const output = compile(root, file, undefined, { stopAfter: 'parsing', outputSelection: { [file]: { '': ['ast'] } } });
  return output.sources[file].ast;
}

/**
 * The creation code of `target.contract`, or null when the sources do not compile.
 * @param {{file: string, contract: string, remappings: string[]}} target
 * @param {{file: string, content: string}=} changed a source to read instead of the one on the disk
 */
export function codeOf(root, target, changed) {
  const { file, contract, remappings } = target;
  const outputSelection = { [file]: { [contract]: ['evm.bytecode.object'] } };
  const metadata = { bytecodeHash: 'none', appendCBOR: false };
  const output = compile(root, file, changed, { ...QUICK, evmVersion: 'cancun', metadata, remappings, outputSelection });
  const faults = (output.errors ?? []).filter(({ severity }) => severity === 'error');
  // A fault of the compiler itself, such as a stack too deep, says nothing about the mutant.
  return faults.length > 0 ? null : output.contracts[file][contract].evm.bytecode.object;
}

function compile(root, file, changed, settings) {
  const read = (path) => (changed?.file === path ? changed.content : readFileSync(join(root, path), 'utf8'));
  const input = { language: 'Solidity', sources: { [file]: { content: read(file) } }, settings };
  const find = (path) => {
    try {
      return { contents: read(path) };
    } catch (error) {
      return { error: String(error) };
    }
  };
  return JSON.parse(solc.compile(JSON.stringify(input), { import: find }));
}
