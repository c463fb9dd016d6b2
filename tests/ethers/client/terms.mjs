// Terms, their id and the signatures under the domains of protocol.md, section 6.
import { Signature, TypedDataEncoder, ZeroHash, id, zeroPadValue } from 'ethers';
import { TYPES, domainOf } from '../typed-data.mjs';

export const HOUR = 3_600;
export const DAY = 86_400;

let salt = 0;
/** Terms like no others: an hour to fund, a day to deliver, a day to inspect, ninety to rule. */
export function newTerms(now, terms) {
  salt += 1;
  const { panel = ZeroHash, ...rest } = terms;
  return {
    amount: 1_000_003n,
    fundBy: now + HOUR,
    deliverBy: now + DAY,
    inspection: DAY,
    ruling: 90 * DAY,
    lapseShare: 5_000,
    metered: false,
    annex: { panel, agreement: id('agreement'), salt: zeroPadValue(`0x${salt.toString(16).padStart(8, '0')}`, 32) },
    ...rest,
  };
}

/** The panel that names an account: its address as a word. */
export const panelOf = (address) => zeroPadValue(address, 32);

/** A contract of one chain whose typed data wallets sign. */
export class Signed {
  constructor(chainId, address) {
    this.address = address;
    this.caip = `eip155:${chainId}:${address}`;
  }

  digest(type, value) {
    return TypedDataEncoder.hash(domainOf(type, this.caip), TYPES[type], value);
  }

  /** 65 bytes. */
  sign(wallet, type, value) {
    return wallet.signTypedData(domainOf(type, this.caip), TYPES[type], value);
  }

  /** The deal's id. */
  idOf(terms) {
    return this.digest('Terms', terms);
  }
}

/** Terms as every call after fund carries them. */
export function fold(terms) {
  const annex = TypedDataEncoder.hashStruct('Annex', { Annex: TYPES.Terms.Annex }, terms.annex);
  return { ...terms, annex };
}

/** EIP-2098. */
export function compact(signature) {
  const { r, yParityAndS } = Signature.from(signature);
  return { r, vs: yParityAndS };
}
