// What a buyer signs for others' contracts: EIP-2612, ERC-3009 and Permit2.
import { Signature } from 'ethers';

const fields = (text) => text.split(', ').map((field) => {
  const [type, name] = field.split(' ');
  return { type, name };
});

export const dollar = (chainId, token) => ({ name: 'Signed Dollar', version: '1', chainId, verifyingContract: token });

const PERMIT = { Permit: fields('address owner, address spender, uint256 value, uint256 nonce, uint256 deadline') };

/** EIP-2612: (v, r, s). */
export async function permit(wallet, domain, value) {
  const { v, r, s } = Signature.from(await wallet.signTypedData(domain, PERMIT, { owner: wallet.address, ...value }));
  return [v, r, s];
}

const RECEIVE = {
  ReceiveWithAuthorization: fields(
    'address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce',
  ),
};

/** ERC-3009: the escrow may take the amount, once, for that deal. */
export const authorize = (wallet, domain, value) => wallet.signTypedData(domain, RECEIVE, value);

const WITNESSED = {
  PermitWitnessTransferFrom: fields('TokenPermissions permitted, address spender, uint256 nonce, uint256 deadline, Fund witness'),
  Fund: fields('bytes32 deal'),
  TokenPermissions: fields('address token, uint256 amount'),
};

/** Permit2 with the deal's id as witness. */
export function permit2(wallet, chainId, verifyingContract, { token, amount, spender, nonce, deadline, deal }) {
  const value = { permitted: { token, amount }, spender, nonce, deadline, witness: { deal } };
  return wallet.signTypedData({ name: 'Permit2', chainId, verifyingContract }, WITNESSED, value);
}
