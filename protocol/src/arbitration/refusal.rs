//! The refusals of the arbitration pools, in the order of `contracts/src/interfaces/IArbitrationPools.sol`.

use crate::chain::Address;

crate::refusal::refusals! {
    /// Why the pools refuse. When several apply, the first class in the order terms, state, time, authority, amount,
    /// intake is given. Times are Unix seconds; a number on chain that is larger than the field reads as the field's largest.
    Terms {
        /// `jury_size`.
        BadJurySize {
            /// As asked.
            size: u64
        } = "a jury has an odd number of seats, 1 to 31, not {size}",
        /// `delay`, `opening`, `voting` or `appeal`.
        BadPeriod = "delay must be at most 366 days, opening 60 seconds to 30 days, voting 1 second to 90 days, appeal at most 90 days",
        /// No such parent, an appeal period without a parent, or a parent without one.
        BadParent = "a parent must exist, and parent and appeal period come together or not at all",
        /// The terms name another arbiter.
        NotMyDeal = "the terms name another arbiter",
    }
    State {
        /// The rule book has a pool already.
        PoolExists = "the pool exists already",
        /// No rule book has this hash here.
        UnknownPool = "there is no such pool",
        /// The case is not open.
        UnknownCase = "the case is not open",
        /// It cannot be opened twice.
        CaseExists = "the case is open already",
        /// No jury yet.
        NotDrawn = "the jury is not drawn yet",
        /// It cannot be drawn twice.
        AlreadyDrawn = "the jury is drawn already",
        /// No ruling yet.
        NotAccepted = "no ruling is accepted yet",
        /// The ballots determined a ruling.
        AlreadyAccepted = "a ruling is accepted already",
        /// The escrow was told.
        AlreadyExecuted = "the ruling is executed already",
        /// The instance has its second jury already.
        NoFurtherJury = "the instance has its second jury already",
        /// The pool has no parent, its parent could not seat two juries, the terms leave too little time, or the ruling is
        /// an appeal's own.
        NotAppealable = "the ruling cannot be appealed",
        /// Neither the pool nor its parent had a list in effect when the deal was funded.
        NoList = "no member list was in effect when the deal was funded",
        /// The escrow says that the deal is not disputed.
        NotDisputed = "the deal is not disputed",
    }
    Time {
        /// The phase begins later.
        TooEarly {
            /// The first second, or block, at which it is allowed.
            opens_at: u64
        } = "not before {opens_at}",
        /// The phase is over.
        TooLate {
            /// The last second at which it was allowed.
            closed_at: u64
        } = "not after {closed_at} (Unix seconds)",
        /// What was signed named an end that has passed.
        SignatureExpired {
            /// Its last second.
            valid_until: u64
        } = "the signature was valid until {valid_until} (Unix seconds)",
    }
    Authority {
        /// Only the pool's keeper publishes lists.
        NotKeeper = "the caller is not the pool's keeper",
        /// Only buyer and seller appeal.
        NotParty = "only the buyer or the seller may do this",
        /// No such seat.
        BadSeat {
            /// As asked.
            seat: u64
        } = "the jury has no seat {seat}",
        /// The caller does not hold the seat.
        NotJuror {
            /// Index in the jury.
            seat: u64
        } = "the caller does not hold seat {seat}",
        /// Not a ballot of the juror who holds the seat.
        InvalidBallot {
            /// Index in the jury.
            seat: u64
        } = "the ballot of seat {seat} carries no valid signature of its juror",
        /// Not that party's signature of this appeal.
        InvalidSignature {
            /// Whose it should be.
            signer: Address
        } = "the signature is not one of {signer} over exactly this",
    }
    Amount {
        /// Not a multiple of 500 up to 10,000.
        BadShare {
            /// As asked.
            share: u64
        } = "a ballot's share is a multiple of 500 up to 10,000 basis points, not {share}",
        /// Two different ballots were shown.
        SeatVoid {
            /// Index in the jury.
            seat: u64
        } = "seat {seat} is void",
        /// Cast on chain.
        SeatFinal {
            /// Index in the jury.
            seat: u64
        } = "the ballot of seat {seat} was cast on chain and is final",
        /// Members must ascend.
        ListNotAscending {
            /// Of the first entry that is not above the one before it.
            index: u64
        } = "entry {index} of the list is not above the one before it",
        /// Not a page that this contract stored.
        BadPage {
            /// As given.
            page: Address
        } = "{page} is not a page of members",
        /// Fewer members than a list must have.
        TooFewMembers {
            /// In the list.
            eligible: u64,
            /// At least.
            needed: u64
        } = "the list has {eligible} members, {needed} are needed",
        /// The submission changes nothing; or no jury of the case said anything by which to conclude it.
        NoBallots = "there are no ballots that change anything",
    }
    Intake {
        /// The escrow could not pay out by the ruling.
        NotEnoughGas = "the transaction has too little gas to pay out by the ruling",
        /// The escrow is in the middle of a call, and takes no ruling.
        Reentered = "a ruling cannot be accepted from within a call of the escrow",
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;
    use crate::refusal::tests::{declared, owned};

    #[test]
    fn the_list_is_that_of_the_interface() {
        let interface = include_str!("../../../contracts/src/interfaces/IArbitrationPools.sol");
        assert_eq!(owned(Refusal::ALL), declared(interface));
    }
}
