//! On chain: whoever hands in ballots can leave some out or forge some, and cannot change the verdict.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use alloy::{
    primitives::{B256, U256},
    providers::{DynProvider, Provider},
    sol_types::SolCall,
};
use fixture::Chain;
use protocol::{
    chain::{Address, case_id},
    evm::{ballot_digest, call, decode_refusal, pools::ArbitrationPools},
    terms::Terms,
    wire::intent::SignedBallot,
};

/// A drawn case of three jurors whose keys the test holds.
struct Jury {
    chain: Chain,
    terms: Terms,
    case: B256,
    /// Wallets by seat.
    seats: Vec<usize>,
}

async fn drawn() -> Jury {
    let chain = Chain::start().await;
    let pool = chain.pool(3).await;
    chain.mine(2).await;
    // Some members have no key here; deals are tried until a jury of wallets is drawn.
    for salt in 0..100 {
        let terms = chain.terms(1_000_000, pool.id, salt).await;
        let (deal, _) = chain.fund(&terms).await;
        chain.dispute(&terms).await;
        let jury = chain.open_and_draw(&terms).await;
        let wallet = |juror: &Address| (0..10).find(|wallet| *juror == chain.address(*wallet).into());
        let Some(seats) = jury.iter().map(wallet).collect::<Option<Vec<usize>>>() else { continue };
        let asked = ArbitrationPools::caseOfCall { escrow: fixture::evm(chain.escrow.address), deal };
        let seed = read(&chain, &asked).await[0].seed;
        let case = case_id(pool.id, chain.escrow, deal, 0, 0, seed).expect("an EVM chain");
        return Jury { chain, terms, case, seats };
    }
    panic!("no jury of six wallets among eight members in a hundred draws");
}

async fn read<C: SolCall>(chain: &Chain, call: &C) -> C::Return {
    use alloy::{network::TransactionBuilder, rpc::types::TransactionRequest};
    let request = TransactionRequest::default()
        .with_to(fixture::evm(chain.pools.address))
        .with_input(call.abi_encode());
    let answer = chain.provider().call(request).await.expect("an answer");
    C::abi_decode_returns(&answer).expect("its form")
}

impl Jury {
    fn ballot_by(&self, wallet: usize, seat: u8, share: u16) -> SignedBallot {
        let digest = ballot_digest(self.chain.pools, self.case, share, B256::ZERO).expect("an EVM chain");
        SignedBallot { seat, share, reason: B256::ZERO, signature: self.chain.sign(wallet, digest) }
    }

    fn ballot(&self, seat: usize, share: u16) -> SignedBallot {
        self.ballot_by(self.seats[seat], u8::try_from(seat).expect("a seat"), share)
    }

    async fn submit(&self, ballots: &[SignedBallot]) {
        let data = call::submit(&self.terms, 0, ballots).expect("calldata");
        self.chain.send(3, self.chain.pools.address, data, U256::ZERO).await;
    }

    async fn refused(&self, ballots: &[SignedBallot]) -> &'static str {
        let data = call::submit(&self.terms, 0, ballots).expect("calldata");
        let told = self.chain.refused(3, self.chain.pools.address, data, U256::ZERO).await;
        decode_refusal(&told).expect("a refusal of ours").name()
    }

    /// The ruling, once there is one.
    async fn ruling(&self) -> Option<u16> {
        let deal = protocol::evm::deal_id(&self.terms).expect("an id");
        let asked = ArbitrationPools::caseOfCall { escrow: fixture::evm(self.chain.escrow.address), deal };
        let case = read(&self.chain, &asked).await.pop().expect("a jury");
        const ACCEPTED: u8 = 3; // of the contract's `enum Stage`; 4 is Executed
        (case.stage >= ACCEPTED).then_some(case.share)
    }
}

async fn snapshot(provider: &DynProvider) -> String {
    provider.raw_request("evm_snapshot".into(), ()).await.expect("a snapshot")
}

async fn revert(provider: &DynProvider, to: String) {
    let done: bool = provider.raw_request("evm_revert".into(), [to]).await.expect("an answer");
    assert!(done);
}

#[tokio::test]
async fn leaving_ballots_out_delays_the_verdict_and_never_changes_it() {
    let jury = drawn().await;
    let provider = jury.chain.provider().clone();
    for shares in [[0, 10_000, 2_500], [0, 0, 10_000], [10_000, 10_000, 0], [5_000, 5_000, 5_000]] {
        let mut ascending = shares;
        ascending.sort_unstable();
        let median = ascending[1];
        let ballots: Vec<SignedBallot> = (0..3).map(|seat| jury.ballot(seat, shares[seat])).collect();
        for kept in 1..8_usize {
            let clean = snapshot(&provider).await;
            let (first, rest): (Vec<_>, Vec<_>) = (0..3).partition(|seat| kept >> seat & 1 == 1);
            let of = |seats: &[usize]| seats.iter().map(|seat| ballots[*seat].clone()).collect::<Vec<_>>();
            jury.submit(&of(&first)).await;
            let early = jury.ruling().await;
            assert!(early.is_none_or(|share| share == median), "{shares:?}, only {first:?}: {early:?}");
            if early.is_none() {
                assert!(!rest.is_empty(), "{shares:?}: all ballots and no ruling");
                jury.submit(&of(&rest)).await;
                assert_eq!(jury.ruling().await, Some(median), "{shares:?}, {rest:?} after {first:?}");
            }
            revert(&provider, clean).await;
        }
    }
}

#[tokio::test]
async fn forged_ballots_are_refused() {
    let jury = drawn().await;
    let honest: Vec<SignedBallot> = (0..3).map(|seat| jury.ballot(seat, 0)).collect();
    let outsider = (4..10).find(|wallet| !jury.seats.contains(wallet)).expect("an outsider");

    let mut altered = honest[0].clone();
    altered.share = 10_000;
    let mut reasoned = honest[0].clone();
    reasoned.reason = B256::repeat_byte(1);
    let mut moved = honest[0].clone();
    moved.seat = 1;
    let relayers = jury.ballot_by(3, 0, 10_000);
    let outsiders = jury.ballot_by(outsider, 0, 10_000);
    for (forged, what) in [
        (altered, "another share"),
        (reasoned, "another reason"),
        (moved, "another seat"),
        (relayers, "the relayer's own"),
        (outsiders, "a member's without a seat"),
    ] {
        assert_eq!(jury.refused(std::slice::from_ref(&forged)).await, "InvalidBallot", "{what}");
        let among = [honest[1].clone(), honest[2].clone(), forged];
        assert_eq!(jury.refused(&among).await, "InvalidBallot", "{what}, among honest ones");
    }
    let of_another_case = {
        let digest = ballot_digest(jury.chain.pools, B256::repeat_byte(9), 10_000, B256::ZERO);
        let signature = jury.chain.sign(jury.seats[0], digest.expect("an EVM chain"));
        SignedBallot { seat: 0, share: 10_000, reason: B256::ZERO, signature }
    };
    assert_eq!(jury.refused(&[of_another_case]).await, "InvalidBallot", "a ballot of another case");
    assert_eq!(jury.ruling().await, None, "nothing was counted");

    jury.submit(&honest).await;
    assert_eq!(jury.ruling().await, Some(0));
}
