//! The refusals of the escrow, in the order of `contracts/src/interfaces/IEscrow.sol`.

use alloy::primitives::B256;

use crate::chain::Address;

crate::refusal::refusals! {
    /// Why the escrow refuses. When several apply, the first class in the order terms, state, time, authority, amount,
    /// intake is given. Times are Unix seconds, amounts the asset's smallest unit; a number on chain that is larger
    /// than the field reads as the field's largest.
    Terms {
        /// The buyer or the seller is the zero address.
        ZeroParty = "buyer and seller must not be the zero address",
        /// Two of them are the same account.
        SameParty = "buyer, seller, arbiter, escrow and asset must differ from one another",
        /// The amount is zero or above the chain's cap.
        AmountOutOfRange = "the amount must be at least 1 and at most the chain's cap",
        /// `inspection` or `ruling`.
        WindowOutOfRange = "inspection and ruling must be 1 second to 366 days",
        /// `lapse_share`.
        ShareOutOfRange = "a share must be at most 10,000 basis points",
        /// `fund_by` and `deliver_by`.
        DeadlinesOutOfOrder = "fund_by must be before deliver_by",
        /// `deliver_by`.
        DeadlineTooFar = "deliver_by must be within ten years",
    }
    State {
        /// Never funded, and it still may be.
        UnknownDeal = "the deal is not funded",
        /// It cannot be funded twice.
        AlreadyFunded = "the deal is funded already",
        /// Closed, or never funded and too late now.
        DealClosed = "the deal is closed, or was never funded and its fund_by has passed",
        /// No deliver and no claim on a payment channel.
        MeteredDeal = "a metered deal knows no delivery and no claim",
        /// Deliver and reclaim want a deal that is not delivered.
        AlreadyDelivered = "the deal is delivered already",
        /// Claim wants a delivered deal.
        NotDelivered = "the deal is not delivered",
        /// The other clocks stop in a dispute.
        DealDisputed = "the deal is disputed",
        /// Rule, lapse and evidence want a dispute.
        NotDisputed = "the deal is not disputed",
        /// An offer to settle was signed for another state.
        StateChanged = "the offer to settle was signed for another state or number of rulings",
    }
    Time {
        /// The window opens later.
        TooEarly {
            /// The first second at which it is allowed. (The pools' refusal of the same name may mean a block number.)
            opens_at: u64
        } = "not before {opens_at}",
        /// The window is over.
        TooLate {
            /// The last second at which it was allowed.
            closed_at: u64
        } = "not after {closed_at} (Unix seconds)",
        /// A signed action came after its time.
        SignatureExpired {
            /// The last second at which it was good.
            valid_until: u64
        } = "the signature was valid until {valid_until} (Unix seconds)",
    }
    Authority {
        /// Only the buyer may.
        NotBuyer = "the caller is not the buyer",
        /// Only the seller may.
        NotSeller = "the caller is not the seller",
        /// Only a party may.
        NotParty = "the caller is neither the buyer nor the seller",
        /// Only the arbiter of the terms may.
        NotArbiter = "the caller is not the arbiter of the terms",
        /// Not a signature of this account over this action.
        InvalidSignature {
            /// Who should have signed.
            signer: Address
        } = "not a valid signature of {signer} over this action",
        /// The signer took it back.
        SignatureRevoked {
            /// What was signed.
            digest: B256
        } = "the signature over {digest} was revoked by its signer",
    }
    Amount {
        /// A running total above the deal's amount.
        TotalTooHigh {
            /// As asked.
            total: u128,
            /// Of the deal.
            amount: u128
        } = "the total {total} is above the deal's amount {amount}",
        /// A running total that moves nothing.
        NothingMoves = "the total moves nothing",
        /// No credit.
        NothingToWithdraw = "there is no credit to withdraw",
        /// An evidence URI above 256 bytes.
        UriTooLong {
            /// In bytes.
            length: u64
        } = "the URI has {length} bytes, at most 256 are allowed",
    }
    Intake {
        /// The coin sent along is not what is needed.
        WrongValue {
            /// As sent.
            sent: u128,
            /// As needed.
            needed: u128
        } = "{sent} of the native coin were sent, {needed} are needed",
        /// The token delivered another sum than the amount.
        IntakeMismatch {
            /// As it arrived.
            received: u128,
            /// As needed.
            needed: u128
        } = "the token delivered {received}, {needed} are needed",
        /// The token refused.
        TransferFailed = "the transfer failed",
        /// Too little gas for the bounded calls.
        NotEnoughGas = "the transaction has too little gas for its bounded calls",
        /// A call from within a call.
        Reentered = "the escrow was called from within one of its own calls",
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;
    use crate::refusal::tests::{declared, owned};

    #[test]
    fn the_list_is_that_of_the_interface() {
        let interface = include_str!("../../../contracts/src/interfaces/IEscrow.sol");
        assert_eq!(owned(Refusal::ALL), declared(interface));
    }
}
