//! From revert data to the refusal that a contract gave.

use alloy::{primitives::U256, sol_types::SolInterface};

use super::{escrow::Escrow::EscrowErrors, pools::ArbitrationPools::ArbitrationPoolsErrors};
use crate::{arbitration, deal, refusal::Refused};

/// The refusal in `data`, or none where it is not one of ours (empty, a string, a panic, another contract's error).
pub fn decode_refusal(data: &[u8]) -> Option<Refused> {
    if let Ok(error) = EscrowErrors::abi_decode_validate(data) {
        return Some(Refused::Escrow(error.into()));
    }
    ArbitrationPoolsErrors::abi_decode_validate(data).ok().map(|error| Refused::Pools(error.into()))
}

fn word(value: U256) -> u64 {
    value.saturating_to()
}

fn wide(value: U256) -> u128 {
    value.saturating_to()
}

impl From<EscrowErrors> for deal::Refusal {
    fn from(error: EscrowErrors) -> Self {
        use EscrowErrors as E;
        match error {
            E::ZeroParty(_) => Self::ZeroParty,
            E::SameParty(_) => Self::SameParty,
            E::AmountOutOfRange(_) => Self::AmountOutOfRange,
            E::WindowOutOfRange(_) => Self::WindowOutOfRange,
            E::ShareOutOfRange(_) => Self::ShareOutOfRange,
            E::DeadlinesOutOfOrder(_) => Self::DeadlinesOutOfOrder,
            E::DeadlineTooFar(_) => Self::DeadlineTooFar,
            E::UnknownDeal(_) => Self::UnknownDeal,
            E::AlreadyFunded(_) => Self::AlreadyFunded,
            E::DealClosed(_) => Self::DealClosed,
            E::MeteredDeal(_) => Self::MeteredDeal,
            E::AlreadyDelivered(_) => Self::AlreadyDelivered,
            E::NotDelivered(_) => Self::NotDelivered,
            E::DealDisputed(_) => Self::DealDisputed,
            E::NotDisputed(_) => Self::NotDisputed,
            E::StateChanged(_) => Self::StateChanged,
            E::TooEarly(e) => Self::TooEarly { opens_at: word(e.opensAt) },
            E::TooLate(e) => Self::TooLate { closed_at: word(e.closedAt) },
            E::SignatureExpired(e) => Self::SignatureExpired { valid_until: word(e.validUntil) },
            E::NotBuyer(_) => Self::NotBuyer,
            E::NotSeller(_) => Self::NotSeller,
            E::NotParty(_) => Self::NotParty,
            E::NotArbiter(_) => Self::NotArbiter,
            E::InvalidSignature(e) => Self::InvalidSignature { signer: e.signer.into() },
            E::SignatureRevoked(e) => Self::SignatureRevoked { digest: e.digest },
            E::TotalTooHigh(e) => Self::TotalTooHigh { total: wide(e.total), amount: wide(e.amount) },
            E::NothingMoves(_) => Self::NothingMoves,
            E::NothingToWithdraw(_) => Self::NothingToWithdraw,
            E::UriTooLong(e) => Self::UriTooLong { length: word(e.length) },
            E::WrongValue(e) => Self::WrongValue { sent: wide(e.sent), needed: wide(e.needed) },
            E::IntakeMismatch(e) => {
                Self::IntakeMismatch { received: wide(e.received), needed: wide(e.needed) }
            }
            E::TransferFailed(_) => Self::TransferFailed,
            E::NotEnoughGas(_) => Self::NotEnoughGas,
            E::Reentered(_) => Self::Reentered,
        }
    }
}

impl From<ArbitrationPoolsErrors> for arbitration::Refusal {
    fn from(error: ArbitrationPoolsErrors) -> Self {
        use ArbitrationPoolsErrors as E;
        match error {
            E::BadJurySize(e) => Self::BadJurySize { size: word(e.size) },
            E::BadPeriod(_) => Self::BadPeriod,
            E::BadParent(_) => Self::BadParent,
            E::NotMyDeal(_) => Self::NotMyDeal,
            E::PoolExists(_) => Self::PoolExists,
            E::UnknownPool(_) => Self::UnknownPool,
            E::UnknownCase(_) => Self::UnknownCase,
            E::CaseExists(_) => Self::CaseExists,
            E::NotDisputed(_) => Self::NotDisputed,
            E::NotDrawn(_) => Self::NotDrawn,
            E::AlreadyDrawn(_) => Self::AlreadyDrawn,
            E::NotAccepted(_) => Self::NotAccepted,
            E::AlreadyAccepted(_) => Self::AlreadyAccepted,
            E::AlreadyExecuted(_) => Self::AlreadyExecuted,
            E::NoFurtherJury(_) => Self::NoFurtherJury,
            E::NotAppealable(_) => Self::NotAppealable,
            E::NoList(_) => Self::NoList,
            E::TooFewMembers(e) => Self::TooFewMembers { eligible: word(e.eligible), needed: word(e.needed) },
            E::TooEarly(e) => Self::TooEarly { opens_at: word(e.opensAt) },
            E::TooLate(e) => Self::TooLate { closed_at: word(e.closedAt) },
            E::SignatureExpired(e) => Self::SignatureExpired { valid_until: word(e.validUntil) },
            E::NotKeeper(_) => Self::NotKeeper,
            E::NotParty(_) => Self::NotParty,
            E::NotJuror(e) => Self::NotJuror { seat: word(e.seat) },
            E::InvalidBallot(e) => Self::InvalidBallot { seat: word(e.seat) },
            E::InvalidSignature(e) => Self::InvalidSignature { signer: e.signer.into() },
            E::BadShare(e) => Self::BadShare { share: word(e.share) },
            E::BadSeat(e) => Self::BadSeat { seat: word(e.seat) },
            E::SeatVoid(e) => Self::SeatVoid { seat: word(e.seat) },
            E::SeatFinal(e) => Self::SeatFinal { seat: word(e.seat) },
            E::ListNotAscending(e) => Self::ListNotAscending { index: word(e.index) },
            E::BadPage(e) => Self::BadPage { page: e.page.into() },
            E::NoBallots(_) => Self::NoBallots,
            E::NotEnoughGas(_) => Self::NotEnoughGas,
            E::Reentered(_) => Self::Reentered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::{json_abi::JsonAbi, sol_types::SolError};

    use crate::evm::{escrow::Escrow, pools::ArbitrationPools};

    #[test]
    fn every_error_of_the_abi_reads_under_its_own_name() {
        for artefact in
            [include_str!("../../abi/Escrow.json"), include_str!("../../abi/ArbitrationPools.json")]
        {
            let mut artefact: serde_json::Value = serde_json::from_str(artefact).unwrap();
            let abi: JsonAbi = serde_json::from_value(artefact["abi"].take()).unwrap();
            assert!(!abi.errors.is_empty());
            for error in abi.errors.values().flatten() {
                let mut data = error.selector().to_vec();
                data.resize(4 + 32 * error.inputs.len(), 0);
                assert_eq!(decode_refusal(&data).map(|refused| refused.name()), Some(error.name.as_str()));
            }
        }
    }

    #[test]
    fn words_are_kept_and_oversize_ones_read_as_the_largest() {
        let data =
            Escrow::TotalTooHigh { total: U256::from(7_u8), amount: U256::from(u128::MAX) }.abi_encode();
        let refused = decode_refusal(&data).unwrap();
        assert_eq!(refused, Refused::Escrow(deal::Refusal::TotalTooHigh { total: 7, amount: u128::MAX }));
        assert_eq!(refused.name(), "TotalTooHigh");
        let data = ArbitrationPools::SeatVoid { seat: U256::MAX }.abi_encode();
        assert_eq!(
            decode_refusal(&data),
            Some(Refused::Pools(arbitration::Refusal::SeatVoid { seat: u64::MAX }))
        );
    }

    #[test]
    fn what_is_not_ours_is_not_read() {
        assert_eq!(decode_refusal(&[]), None);
        assert_eq!(decode_refusal(&[0x08, 0xc3, 0x79, 0xa0]), None);
        let mut short = Escrow::TooEarly { opensAt: U256::from(1_u8) }.abi_encode();
        short.pop();
        assert_eq!(decode_refusal(&short), None);
    }
}
