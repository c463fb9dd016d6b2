// Every id and digest of the protocol (docs/protocol.md), computed by ethers.js alone.
import { AbiCoder, SigningKey, TypedDataEncoder, ZeroAddress, computeAddress, dataSlice, keccak256, zeroPadBytes } from 'ethers';

const abi = AbiCoder.defaultAbiCoder();

const fields = (text) => text.split(', ').map((field) => {
  const [type, name] = field.split(' ');
  return { type, name };
});

const ANNEX = fields('bytes32 panel, bytes32 agreement, bytes32 salt');

/** The types under the escrow's domain, and those of POOLS under that of the pools. */
export const TYPES = {
  Terms: {
    Terms: fields(
      'address buyer, address seller, address arbiter, address asset, uint88 amount, uint40 fundBy, uint40 deliverBy, '
        + 'uint32 inspection, uint32 ruling, uint16 lapseShare, bool metered, Annex annex',
    ),
    Annex: ANNEX,
  },
  Fund: { Fund: fields('bytes32 deal, uint40 validUntil') },
  Deliver: { Deliver: fields('bytes32 deal, bytes32 delivery, uint40 validUntil') },
  Release: { Release: fields('bytes32 deal, uint88 total') },
  Refund: { Refund: fields('bytes32 deal, uint88 total') },
  Dispute: { Dispute: fields('bytes32 deal, bytes32 evidence, uint40 validUntil') },
  Evidence: { Evidence: fields('bytes32 deal, bytes32 evidence, string uri, uint40 validUntil') },
  Settle: { Settle: fields('bytes32 deal, uint88 sellerTotal, uint8 status, uint8 rulings, uint40 validUntil') },
  Withdraw: {
    Withdraw: fields('address creditor, address asset, uint256 amount, address to, uint256 nonce, uint40 validUntil'),
  },
  Ballot: { Ballot: fields('bytes32 caseId, uint16 share, bytes32 reason') },
  Appeal: { Appeal: fields('bytes32 deal, uint40 validUntil') },
};

const POOLS = ['Ballot', 'Appeal'];

/** The last part of a CAIP-10 account, and the chain it is on. */
function account(caip) {
  const [namespace, reference, address] = caip.split(':');
  if (namespace !== 'eip155') throw new Error(`${caip} is not on an EVM chain`);
  return { chainId: BigInt(reference), address };
}

const domain = (name, contract) => {
  const { chainId, address } = account(contract);
  return { name, version: '1', chainId, verifyingContract: address };
};

const escrowDomain = (escrow) => domain('Earnest Escrow', escrow);
const poolsDomain = (pools) => domain('Earnest Arbitration Pools', pools);
export const domainOf = (type, contract) => (POOLS.includes(type) ? poolsDomain : escrowDomain)(contract);

/** Terms as the wallet sees them, from their JSON form. */
function typedTerms(terms) {
  const asset = terms.asset.split('/')[1];
  return {
    buyer: account(terms.buyer).address,
    seller: account(terms.seller).address,
    arbiter: account(terms.arbiter).address,
    asset: asset === 'slip44:60' ? ZeroAddress : asset.slice('erc20:'.length),
    amount: terms.amount,
    fundBy: terms.fund_by,
    deliverBy: terms.deliver_by,
    inspection: terms.inspection,
    ruling: terms.ruling,
    lapseShare: terms.lapse_share,
    metered: terms.metered,
    annex: { panel: terms.panel, agreement: terms.agreement, salt: terms.salt },
  };
}

export function dealOutputs({ terms }) {
  const typed = typedTerms(terms);
  const deal = TypedDataEncoder.hash(escrowDomain(terms.escrow), TYPES.Terms, typed);
  return { deal, annex: TypedDataEncoder.hashStruct('Annex', { Annex: ANNEX }, typed.annex) };
}

export function messageOutputs({ contract, type, value, key }) {
  const digest = TypedDataEncoder.hash(domainOf(type, contract), TYPES[type], value);
  return { digest, ...signatureOutputs({ key, digest }) };
}

export function signatureOutputs({ key, digest }) {
  const signing = new SigningKey(key);
  return { signer: computeAddress(signing.publicKey), signature: signing.sign(digest).serialized };
}

export function poolOutputs({ book }) {
  const pool = keccak256(abi.encode(
    ['address', 'bytes32', 'uint8', 'uint32', 'uint32', 'uint32', 'uint32', 'bytes32'],
    [book.keeper, book.parent, book.jury_size, book.delay, book.opening, book.voting, book.appeal, book.salt],
  ));
  return { pool };
}

export function caseOutputs({ pool, escrow, deal, instance, jury, seed }) {
  const words = ['bytes32', 'address', 'bytes32', 'uint8', 'uint8', 'bytes32'];
  return { case_id: keccak256(abi.encode(words, [pool, escrow, deal, instance, jury, seed])) };
}

/** A jury of members numbered from 1: the whole list shuffled, then the parties and earlier jurors passed over. */
export function drawOutputs({ block_hash, deal, instance, jury, members, passed_over, jury_size }) {
  const hash = keccak256(abi.encode(['bytes32', 'bytes32', 'uint8', 'uint8'], [block_hash, deal, instance, jury]));
  const seed = zeroPadBytes(dataSlice(hash, 0, 12), 32);
  const deck = Array.from({ length: members }, (_, index) => index + 1);
  for (let i = 0; i < members; i += 1) {
    const random = BigInt(keccak256(abi.encode(['bytes32', 'uint256'], [seed, i])));
    const j = i + Number(random % BigInt(members - i));
    [deck[i], deck[j]] = [deck[j], deck[i]];
  }
  return { seed, seats: deck.filter((member) => !passed_over.includes(member)).slice(0, jury_size) };
}

export function eventOutputs({ chain, block_hash, log_index }) {
  const words = ['uint256', 'bytes32', 'uint256'];
  return { event_id: keccak256(abi.encode(words, [chain.split(':')[1], block_hash, log_index])) };
}

/** How each list of vectors.json is computed from its inputs. */
export const OUTPUTS = {
  deals: dealOutputs,
  messages: messageOutputs,
  pools: poolOutputs,
  cases: caseOutputs,
  draws: drawOutputs,
  events: eventOutputs,
};
