//! Proof of Humanity: registries on EVM chains, read by `eth_call` through the hub's own indexer. The second version
//! (`isHuman`, `humanityOf`) and the first (`isRegistered`) are told apart by which function answers.

use alloy::{
    primitives::{Address, FixedBytes},
    sol,
    sol_types::SolCall,
};
use protocol::{
    chain::{self, AccountId},
    wire::feed::CallOutcome,
};

use crate::{
    chain::{ChainError, Indexers},
    error::{Error, Refusal},
};

sol! {
    function isHuman(address account) external view returns (bool);
    function humanityOf(address account) external view returns (bytes20);
    function isRegistered(address account) external view returns (bool);
}

/// The name of the person behind a wallet; none when the registry knows none.
pub(super) async fn person(
    indexers: &Indexers,
    registry: AccountId,
    wallet: AccountId,
) -> Result<Option<String>, Error> {
    let chain::Address::Evm(account) = wallet.address else {
        let told = format!("{wallet} must be on an EVM chain");
        return Err(Refusal::rule("wallet_chain", "/body/proof_of_humanity/wallet", told).into());
    };
    if let Some(human) = ask(indexers, registry, isHumanCall { account }).await? {
        return if human { humanity(indexers, registry, account).await.map(Some) } else { Ok(None) };
    }
    match ask(indexers, registry, isRegisteredCall { account }).await? {
        // The first version knows people by their one address, which is the id that the second one gives them.
        Some(registered) => Ok(registered.then(|| name(FixedBytes::from(account.into_array())))),
        None => Err(unusable(registry, "it answers neither isHuman nor isRegistered")),
    }
}

/// The id that stays when a person moves to another address.
async fn humanity(indexers: &Indexers, registry: AccountId, account: Address) -> Result<String, Error> {
    match ask(indexers, registry, humanityOfCall { account }).await? {
        Some(id) if id != FixedBytes::ZERO => Ok(name(id)),
        _ => Err(unusable(registry, "it names no humanity of a human")),
    }
}

/// One text for one human, whichever version says it: 0x and 40 digits, the letters small.
fn name(id: FixedBytes<20>) -> String {
    format!("0x{}", hex::encode(id))
}

fn unusable(registry: AccountId, reason: &str) -> Error {
    ChainError::Unusable { path: format!("/v1/call of {registry}"), reason: reason.to_owned() }.into()
}

/// What the registry answers; none when it has no such function.
async fn ask<C: SolCall>(
    indexers: &Indexers,
    registry: AccountId,
    call: C,
) -> Result<Option<C::Return>, Error> {
    Ok(match indexers.call(registry, call.abi_encode()).await? {
        CallOutcome::Returned { data } if data.len() == 32 => C::abi_decode_returns_validate(&data).ok(),
        CallOutcome::Returned { .. } | CallOutcome::Reverted { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};
    use protocol::chain::ChainId;
    use tokio::runtime::Runtime;

    use super::*;
    use crate::testing::answers::Answers;

    /// What a registry returns: no, yes, the id of a human, and what is none of these.
    fn data() -> impl Strategy<Value = Vec<u8>> {
        let word = |last: u8| [[0_u8; 31].as_slice(), &[last]].concat();
        let human = any::<[u8; 20]>().prop_map(|id| [id.as_slice(), &[0; 12]].concat());
        prop_oneof![
            1 => Just(word(0)),
            3 => Just(word(1)),
            3 => human,
            1 => any::<u8>().prop_map(word),
            1 => vec(any::<u8>(), 0..70),
            1 => vec(any::<u8>(), 32),
        ]
    }

    fn outcomes() -> impl Strategy<Value = CallOutcome> {
        (data(), 0..4_u8).prop_map(|(data, which)| {
            let data = data.into();
            if which == 0 { CallOutcome::Reverted { data } } else { CallOutcome::Returned { data } }
        })
    }

    fn word(outcome: &CallOutcome) -> Option<&[u8]> {
        match outcome {
            CallOutcome::Returned { data } if data.len() == 32 => Some(data),
            _ => None,
        }
    }

    fn truth(outcome: &CallOutcome) -> Option<bool> {
        let (last, zeros) = word(outcome)?.split_last()?;
        (zeros.iter().all(|byte| *byte == 0) && *last <= 1).then_some(*last == 1)
    }

    fn id(outcome: &CallOutcome) -> Option<String> {
        let (id, zeros) = word(outcome)?.split_at(20);
        let is_one = id.iter().any(|byte| *byte != 0) && zeros.iter().all(|byte| *byte == 0);
        is_one.then(|| format!("0x{}", hex::encode(id)))
    }

    #[test]
    fn a_registry_is_believed_in_the_words_of_either_version_alone() {
        let runtime = Runtime::new().unwrap();
        let answers = runtime.block_on(Answers::start());
        let chain = ChainId::Eip155(1);
        let at = |byte: u8| AccountId { chain, address: Address::repeat_byte(byte).into() };
        let indexers = Indexers::new(&BTreeMap::from([(chain, answers.url.clone())]), "").unwrap();
        let account = format!("0x{}", "ab".repeat(20));
        proptest!(|(first in outcomes(), second in outcomes())| {
            let said = |one: &CallOutcome| (200, "application/json", serde_json::to_vec(one).unwrap());
            answers.say([said(&first), said(&second)]);
            let came = runtime.block_on(person(&indexers, at(9), at(0xab)));
            let expected = match truth(&first) {
                Some(true) => id(&second).map(Some),
                Some(false) => Some(None),
                None => truth(&second).map(|is_one| is_one.then(|| account.clone())),
            };
            match came {
                Ok(came) => prop_assert_eq!(Some(came), expected),
                Err(error) => {
                    let told = error.to_string();
                    prop_assert!(expected.is_none() && told.contains("cannot be used"), "{told}");
                }
            }
        });
    }
}
