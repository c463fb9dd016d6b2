//! What more than half of the nodes tell alike of an intent: the word of one is not enough to end it. Each tells of a slot of its own,
//! so what they show is compared, and not their answers.

use alloy::primitives::B256;
use ed25519_dalek::SigningKey;

use super::{
    behind::BEHIND_MS,
    case::{self, Snapshot},
    manager::{Manager, Sight},
    node::{Commitment, Node, Status},
    pursue::{DryRun, deal, dry_run_at},
    resolve::AttemptFact,
};
use crate::{
    error::Error,
    intents::Kept,
    transactions::{acts, nodes::most, refusal::Cure, resolve::Effect},
};

/// An intent at one moment, as a node tells it.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Who tells it.
    pub node: Node,
    /// The deal and its case, or why they cannot be read.
    pub snapshot: Result<Snapshot, String>,
    /// Whether they show what the intent is for.
    pub effect: Effect,
    /// Whether they do not, and its deadline has passed.
    pub late: bool,
}

impl View {
    /// `now` (Unix seconds) is the time where the snapshot tells none.
    fn new(node: Node, snapshot: Result<Snapshot, String>, kept: &Kept, (sent, now): (bool, u64)) -> Self {
        let effect = case::effect(&kept.intent, &snapshot, sent);
        let time = snapshot.as_ref().map_or(now, |snapshot| snapshot.time);
        let late = effect != Effect::Present && time > kept.intent.deadline;
        Self { node, snapshot, effect, late }
    }

    /// Whether the intent would be over by that.
    fn ends(&self) -> bool {
        self.effect == Effect::Present || self.late
    }

    /// Of which slot it is; none where it cannot be read.
    fn slot(&self) -> Option<u64> {
        self.snapshot.as_ref().ok().map(|snapshot| snapshot.slot)
    }
}

/// Whether those who tell that an intent is not over may just be behind the one who tells that it is, each as of its slot.
fn may_be_behind(told: Option<u64>, own: Option<u64>) -> bool {
    told.zip(own).is_some_and(|(told, own)| told < own)
}

/// How an intent stands that has no transaction which may still be in a block.
pub(super) struct Stands {
    /// At the newest slot.
    pub view: View,
    /// In the final chain, where the newest slot shows the effect and enough nodes tell it.
    pub effect_final: Option<Effect>,
    /// False where it may be over, and too few nodes tell that alike.
    pub agreed: bool,
}

impl Manager {
    /// How an intent stands that has no transaction which may still be in a block: by the word of one node, and where it would be
    /// over by that, and there are several, by what more than half of them tell.
    ///
    /// # Errors
    /// The node whose turn it is does not answer.
    pub(super) async fn stands(
        &mut self,
        (now_ms, sight): (i64, &Sight),
        kept: &Kept,
        sent: bool,
    ) -> Result<Stands, Error> {
        let (several, now) = (self.node.has_several(), sight.latest.1);
        let snapshot = self.snapshot(kept, Commitment::Confirmed, 0).await?;
        let mut view = View::new(self.node.clone(), snapshot, kept, (sent, now));
        if !several && view.effect == Effect::Present {
            let settled = self.snapshot(kept, Commitment::Finalized, sight.finality.slot).await?;
            let effect_final = Some(case::effect(&kept.intent, &settled, sent));
            return Ok(Stands { view, effect_final, agreed: true });
        }
        if !several || !view.ends() {
            return Ok(Stands { view, effect_final: None, agreed: true });
        }
        let newest = (Commitment::Confirmed, sight.reached.0);
        let told = self.view_alike(kept, newest, (sent, now)).await?;
        // Signing anew what is done would be for nothing. Who is behind comes to it soon.
        let soon = !self.unagreed.lasts(kept.id, BEHIND_MS, now_ms);
        let told = told.filter(|told| told.ends() || !(soon && may_be_behind(told.slot(), view.slot())));
        let mut agreed = told.is_some();
        // One that says so falsely does not hold it up.
        view = told.unwrap_or(view);
        let mut effect_final = None;
        if view.effect == Effect::Present {
            let settled = (Commitment::Finalized, sight.reached.1);
            let told = self.view_alike(kept, settled, (sent, now)).await?;
            effect_final = told.map(|told| told.effect);
            agreed = effect_final == Some(Effect::Present) || (agreed && effect_final.is_some());
        }
        if agreed {
            self.unagreed.forget(kept.id);
        } else {
            self.unagreed.put(kept.id, now_ms);
        }
        Ok(Stands { view, effect_final, agreed })
    }

    /// An intent as more than half of the nodes tell it alike, each of a slot that is not before the least; as the last of them
    /// tells it.
    async fn view_alike(
        &self,
        kept: &Kept,
        at: (Commitment, u64),
        by: (bool, u64),
    ) -> Result<Option<View>, Error> {
        let deal = deal(kept)?;
        let (awake, needed) = self.node.each();
        let mut asked = Vec::with_capacity(awake.len());
        for (host, node) in awake {
            asked.push((host, view(node, kept, deal, at, by)));
        }
        Ok(most(asked, needed).await.map(|(_, view)| view))
    }

    /// What the final chain shows of an intent whose transactions are over, as more than half of the nodes tell it alike; none where
    /// fewer do. What shows in a transaction of ours alone rests on what each of them says became of these (`sent`: one went
    /// through).
    ///
    /// # Errors
    /// The terms have no deal.
    pub(super) async fn effect_alike(
        &self,
        kept: &Kept,
        facts: &[AttemptFact],
        sent: bool,
        least_slot: u64,
    ) -> Result<Option<Effect>, Error> {
        let deal = deal(kept)?;
        let ours: Vec<String> = facts.iter().map(|fact| fact.transaction.to_string()).collect();
        let ours = acts::rests_on_ours(&kept.intent).then_some(ours.as_slice());
        let (awake, needed) = self.node.each();
        let mut asked = Vec::with_capacity(awake.len());
        for (host, node) in awake {
            asked.push((host, settled(node, kept, deal, (ours, sent), least_slot)));
        }
        let told = most(asked, needed).await.map(|(told, ())| told);
        Ok(told.and_then(|(effect, went_through)| (went_through == sent).then_some(effect)))
    }

    /// Whether more than half of the nodes tell of the final chain that an intent's effect is not there, and that it refuses this
    /// signer's transaction for good, where there is one.
    ///
    /// # Errors
    /// The terms have no deal.
    pub(super) async fn fails_alike(
        &self,
        sight: &Sight,
        kept: &Kept,
        signer: Option<&SigningKey>,
        sent: bool,
    ) -> Result<bool, Error> {
        let deal = deal(kept)?;
        let (awake, needed) = self.node.each();
        let mut asked = Vec::with_capacity(awake.len());
        for (host, node) in awake {
            asked.push((host, fails(node, kept, deal, (signer, sent), sight.reached.1)));
        }
        Ok(most(asked, needed).await.is_some_and(|((_, fails), ())| fails))
    }
}

/// An intent as one node tells it, with what is compared; none where it does not answer.
async fn view(
    node: Node,
    kept: &Kept,
    deal: B256,
    (commitment, least_slot): (Commitment, u64),
    by: (bool, u64),
) -> Option<((Effect, bool), View)> {
    let snapshot = case::snapshot(&node, deal, commitment, least_slot).await.ok()?;
    let view = View::new(node, snapshot, kept, by);
    Some(((view.effect.clone(), view.late), view))
}

/// What one node tells of an intent in the final chain, and whether a transaction of ours went through: as it says of them where they are
/// named.
async fn settled(
    node: Node,
    kept: &Kept,
    deal: B256,
    (ours, sent): (Option<&[String]>, bool),
    least_slot: u64,
) -> Option<((Effect, bool), ())> {
    let sent = match ours {
        Some(ours) => {
            let (_, statuses) = node.statuses(ours).await.ok()?;
            statuses.iter().flatten().any(Status::is_done)
        }
        None => sent,
    };
    let snapshot = case::snapshot(&node, deal, Commitment::Finalized, least_slot).await.ok()?;
    Some(((case::effect(&kept.intent, &snapshot, sent), sent), ()))
}

/// What one node tells of an intent in the final chain, and whether it fails by that.
async fn fails(
    node: Node,
    kept: &Kept,
    deal: B256,
    (signer, sent): (Option<&SigningKey>, bool),
    least_slot: u64,
) -> Option<((Effect, bool), ())> {
    let at = (Commitment::Finalized, least_slot);
    let snapshot = case::snapshot(&node, deal, Commitment::Finalized, least_slot).await.ok()?;
    let effect = case::effect(&kept.intent, &snapshot, sent);
    let fails = match (&snapshot, signer) {
        (Ok(snapshot), Some(signer)) if effect == Effect::Absent => {
            let tried = dry_run_at(&node, signer, kept, snapshot, at).await.ok()?;
            matches!(tried, DryRun::Refused(Cure::Nothing, _))
        }
        (_, None) => effect == Effect::Absent,
        _ => false,
    };
    Some(((effect, fails), ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tells_of_an_older_slot_may_be_behind() {
        assert!(may_be_behind(Some(9), Some(10)));
        for (told, own) in [(Some(10), Some(10)), (Some(11), Some(10)), (None, Some(10)), (Some(9), None)] {
            assert!(!may_be_behind(told, own), "{told:?} {own:?}");
        }
    }
}
