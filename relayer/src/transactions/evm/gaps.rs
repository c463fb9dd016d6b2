//! Nonces that nothing has: every transaction behind one is stuck until it is filled.
//!
//! A gap cannot come from here, for a nonce is never let go of. It comes when a transaction that somebody else sent with the
//! signer's key leaves the chain again, or when the database is not the one that signed. It is filled with a transfer of
//! nothing to the signer itself, which is stored, sent, replaced and resolved like any other transaction.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes};

use super::{
    dear::Dear,
    fees::{Price, bump, first_price},
    manager::{Manager, Sight},
    resolve::{AttemptFact, AttemptRules},
    sign::{Draft, Signer},
    store::{self, Attempt, Kind},
    turn::IN_FLIGHT_MAX,
};
use crate::{
    error::Error,
    transactions::{ChainError, desk::Desk, doubt::Doubts, store::Outcome},
};

/// Gaps that were seen: the signer and the nonce, by the newest block's hash.
pub type Gaps = Doubts<(Address, u64), B256>;

/// The lowest nonces from `from` on that are missing in `signed` (ascending) below its last one.
pub fn missing(from: u64, signed: &[u64]) -> Vec<u64> {
    let mut gaps = Vec::new();
    let mut next = from;
    for nonce in signed {
        while next < *nonce && gaps.len() < IN_FLIGHT_MAX {
            gaps.push(next);
            next = next.saturating_add(1);
        }
        next = nonce.saturating_add(1);
    }
    gaps
}

impl Manager {
    /// Fills the nonces that nothing has, and sees to those that are being filled.
    ///
    /// # Errors
    /// The node does not answer; the lease is lost; the database's own.
    pub(super) async fn fill_gaps(&mut self, desk: &mut Desk<'_>, sight: &Sight) -> Result<(), Error> {
        let fills = std::mem::take(&mut self.fills);
        let mut filling: BTreeSet<(Address, u64)> =
            fills.iter().map(|fill| (fill.signer, fill.nonce)).collect();
        for fill in fills {
            let signer = fill.signer;
            let done = self.watch_fill(desk, sight, fill).await;
            self.one_key_alone(desk, signer, done)?;
        }
        let mut seen = BTreeSet::new();
        for signer in self.signers.clone() {
            let (address, from) = (signer.address(), sight.nonce_latest(signer.address()));
            let signed = store::signed_nonces(desk.db.reader(), address, from).await?;
            for nonce in missing(from, &signed) {
                seen.insert((address, nonce));
                let open = filling.iter().filter(|(signer, _)| *signer == address).count();
                if self.gaps.believed((address, nonce), sight.latest.hash)
                    && open < IN_FLIGHT_MAX
                    && !self.is_silent(desk, address)
                {
                    let done = self.fill(desk, sight, &signer, nonce).await;
                    self.one_key_alone(desk, address, done)?;
                    filling.insert((address, nonce));
                }
            }
        }
        self.gaps.keep_only(|gap| seen.contains(gap));
        Ok(())
    }

    /// A key that is away keeps the others from nothing.
    fn one_key_alone(
        &mut self,
        desk: &Desk<'_>,
        signer: Address,
        done: Result<(), Error>,
    ) -> Result<(), Error> {
        match done {
            Err(Error::Sign(words)) => {
                self.is_mute(desk, signer, words);
                Ok(())
            }
            done => done,
        }
    }

    async fn fill(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        signer: &Signer,
        nonce: u64,
    ) -> Result<(), Error> {
        let Some(market) = self.market(desk).await else { return Ok(()) };
        let dear = Dear::Nonce(signer.address(), nonce);
        let fees = match first_price(market, self.rules.max_fee_per_gas) {
            Price::Fees(fees) => fees,
            Price::TooDear { needed, allowed } => {
                let words =
                    format!("filling nonce {nonce} takes {needed} wei a unit of gas, the limit is {allowed}");
                self.cannot_pay(desk, dear, words);
                return Ok(());
            }
        };
        self.affords(desk, dear);
        let draft = self.nothing(signer.address()).await?;
        let attempt =
            self.signed(signer, None, Kind::Fill, &draft, nonce, fees, (desk.now_ms(), sight)).await?;
        self.speaks(desk, attempt.signer);
        tracing::warn!(signer = %attempt.signer, nonce, "nothing has this nonce; filling it");
        metrics::counter!("relayer_nonces_filled_total").increment(1);
        let mut write = desk.begin().await?;
        store::store_attempt(&mut write, &attempt).await?;
        write.commit().await?;
        self.takes_off(&attempt, false);
        self.send(desk, "(fill)", &attempt).await;
        Ok(())
    }

    async fn watch_fill(&mut self, desk: &mut Desk<'_>, sight: &Sight, fill: Attempt) -> Result<(), Error> {
        let receipt = self.receipt(fill.hash).await?;
        if sight.nonce_final(fill.signer) > fill.nonce {
            let outcome = receipt.map_or(Outcome::Replaced, |_| Outcome::Succeeded);
            let mut write = desk.begin().await?;
            store::set_outcome(&mut write, fill.hash, outcome).await?;
            return Ok(write.commit().await?);
        }
        if receipt.is_some() || fill.nonce < sight.nonce_latest(fill.signer) {
            return Ok(());
        }
        let front = fill.nonce == sight.nonce_latest(fill.signer);
        let now_ms = desk.now_ms();
        let fact = AttemptFact {
            hash: fill.hash,
            signer: fill.signer,
            over: false,
            front,
            kind: fill.kind,
            nonce: fill.nonce,
            fees: fill.fees,
            age_ms: now_ms.saturating_sub(fill.signed_ms),
            passed_over: sight.latest.number > fill.signed_block,
            can_sign: true,
            receipt,
        };
        let signer = self.signer(fill.signer).filter(|_| !self.is_silent(desk, fill.signer));
        let rules =
            AttemptRules { bump_after_ms: self.rules.bump_after_ms, bump_bps: self.rules.fee_bump_bps };
        // Of several fills of a nonce only the dearest is young enough to be left alone, and then all are.
        let newest = store::dearest(desk.db.reader(), fill.signer, fill.nonce).await? == Some(fill.hash);
        if let (Some(signer), true, true, true) = (signer, front, newest, rules.stuck(&fact))
            && let Some(market) = self.market(desk).await
        {
            let dear = Dear::Nonce(fill.signer, fill.nonce);
            match bump(fill.fees, market, rules.bump_bps, self.rules.max_fee_per_gas) {
                Price::Fees(fees) => {
                    self.affords(desk, dear);
                    let draft = self.nothing(fill.signer).await?;
                    let signed =
                        self.signed(&signer, None, Kind::Fill, &draft, fill.nonce, fees, (now_ms, sight));
                    let attempt = signed.await?;
                    self.speaks(desk, attempt.signer);
                    let mut write = desk.begin().await?;
                    store::store_attempt(&mut write, &attempt).await?;
                    write.commit().await?;
                    metrics::counter!("relayer_bumps_total").increment(1);
                    self.send(desk, "(fill)", &attempt).await;
                    return Ok(());
                }
                Price::TooDear { needed, allowed } => {
                    let words = format!(
                        "nonce {} of {} is stuck; filling it takes {needed} wei a unit of gas, the limit is {allowed}",
                        fill.nonce, fill.signer
                    );
                    self.cannot_pay(desk, dear, words);
                }
            }
        }
        if newest && desk.is_due(&fill.hash.into()) {
            self.send(desk, "(fill)", &fill).await;
        }
        Ok(())
    }

    /// A transaction that does nothing.
    ///
    /// # Errors
    /// The node does not answer.
    pub(super) async fn nothing(&self, signer: Address) -> Result<Draft, Error> {
        let gas =
            self.chain.estimate(signer, signer, Bytes::new(), None).await?.map_err(|_| ChainError::Rpc {
                method: "eth_estimateGas",
                reason: format!("{signer} cannot send nothing to itself"),
            })?;
        Ok(Draft { chain_id: self.chain.id(), to: signer, data: Bytes::new(), gas })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_the_nonces_below_the_last_that_nothing_has() {
        assert_eq!(missing(5, &[]), Vec::<u64>::new());
        assert_eq!(missing(5, &[5, 6, 7]), Vec::<u64>::new());
        assert_eq!(missing(5, &[6, 9]), [5, 7, 8]);
        assert_eq!(missing(5, &[5, u64::MAX]), (6..6 + 16).collect::<Vec<_>>(), "so many at one time");
    }
}
