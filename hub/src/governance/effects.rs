//! What an acceptance does, all of it or nothing, in the transaction of the tally.

use sqlx::{AnyConnection, Connection as _};

use super::{
    model::{Against, Effect, Payment},
    store::{self, Proposal, Unexecuted},
    tally::{Tally, Verdict, sided},
};
use crate::{
    communities::{self, lists},
    error::{Error, Refusal},
    grievances, identity,
    ledger::{
        self,
        model::{Asset, Holder, Key, Kind, OperationId},
        post::Leg,
        rules::Purpose,
    },
    records::{Accepted, Draft, RecordId},
};

/// Whether the community may decide on this at all.
///
/// # Errors
/// Step `rule`: the asset is unknown or governed by another, or an account is unknown.
pub(super) async fn possible(
    on: &mut AnyConnection,
    community: &RecordId,
    effect: &Effect,
) -> Result<(), Error> {
    match effect {
        Effect::Text | Effect::Setting { .. } | Effect::Ruling { .. } => Ok(()),
        Effect::Membership { account, .. } => known(on, account, "membership/account").await,
        Effect::TreasuryTransfer { asset, to, .. } => {
            ledger::governor(on, *asset).await?;
            known(on, to, "treasury_transfer/to").await
        }
        Effect::Pool { arbiter, panel, .. } => lists::known_pool(on, arbiter, panel).await.map(drop),
        Effect::PoolList { arbiter, panel } => {
            lists::served_pool(on, community, arbiter, panel).await.map(drop)
        }
        Effect::CreditLimit { asset, account, .. } => {
            governs(on, community, *asset).await?;
            known(on, account, "credit_limit/account").await
        }
        Effect::AdminAdjustment { asset, entries, .. } => {
            governs(on, community, *asset).await?;
            for entry in entries {
                known(on, &entry.account, "admin_adjustment/entries").await?;
            }
            Ok(())
        }
    }
}

async fn known(on: &mut AnyConnection, account: &RecordId, field: &str) -> Result<(), Error> {
    if identity::account_exists(on, account).await? {
        return Ok(());
    }
    let told = format!("there is no account {account}");
    Err(Refusal::rule("unknown_account", format!("/body/effect/{field}"), told).into())
}

/// What everybody counts in is not any community's to change.
async fn governs(on: &mut AnyConnection, community: &RecordId, asset: Asset) -> Result<(), Error> {
    if ledger::governor(on, asset).await? == Some(*community) {
        return Ok(());
    }
    let told = format!("{asset} is not governed by community {community}");
    Err(Refusal::rule("not_governed", "/body/effect", told).into())
}

/// Does it, where the verdict is to; a list is of those who stood before a moment, in Unix milliseconds. Answers why where nothing
/// could be done, and what the hub says because of it.
pub(super) async fn execute(
    hub: RecordId,
    on: &mut AnyConnection,
    proposal: &Proposal,
    (result, listed_before): (&Tally, i64),
    accepted: &Accepted,
) -> Result<(Option<Unexecuted>, Vec<Draft>), Error> {
    if let Effect::Ruling { grievance } = &proposal.body.effect {
        // A grievance goes on whatever its jury has said.
        let electors = store::electors(on, &proposal.id).await?;
        let closes_at = proposal.body.closes.ms();
        let ballots = store::last_ballots(on, &proposal.id, closes_at).await?;
        let sided = sided(&electors, &proposal.body.rule, closes_at, &ballots);
        let vote = (grievance, &proposal.id);
        let done = grievances::ruled(hub, on, vote, result, &sided, accepted).await?;
        return Ok((done.refused.map(Unexecuted::from), done.drafts));
    }
    if result.verdict != Verdict::Accepted {
        return Ok((None, Vec::new()));
    }
    let mut inner = on.begin().await?;
    match perform(&mut inner, proposal, (result, listed_before), accepted).await {
        Ok(()) => {
            inner.commit().await?;
            Ok((None, Vec::new()))
        }
        Err(Error::Refused(refusal)) => {
            inner.rollback().await?;
            Ok((Some(refusal.into()), Vec::new()))
        }
        Err(error) => Err(error),
    }
}

async fn perform(
    on: &mut AnyConnection,
    proposal: &Proposal,
    (result, listed_before): (&Tally, i64),
    accepted: &Accepted,
) -> Result<(), Error> {
    let (community, at) = (&proposal.community, accepted.received_at);
    let operation = OperationId::first(accepted.record.id);
    let own = |asset, kind| Key { asset, kind, holder: Holder::Record(*community) };
    possible(on, community, &proposal.body.effect).await?;
    match &proposal.body.effect {
        Effect::Text | Effect::Ruling { .. } => Ok(()),
        Effect::AdminAdjustment { asset, entries, against } => {
            let other = own(
                *asset,
                match against {
                    Against::Treasury => Kind::Treasury,
                    Against::Issuer => Kind::Issuer,
                },
            );
            let mut legs: Vec<Leg> = entries
                .iter()
                .map(|entry| Leg { account: Key::member(*asset, entry.account), amount: entry.amount })
                .collect();
            let rest = entries.iter().try_fold(0, |sum: i128, entry| sum.checked_sub(entry.amount));
            let rest = rest.ok_or_else(|| {
                Refusal::rule("out_of_range", "/body/effect", "the entries' sum has more than 38 digits")
            })?;
            if rest != 0 {
                legs.push(Leg { account: other, amount: rest });
            }
            ledger::decided(on, operation, Purpose::Adjustment, legs, at).await
        }
        Effect::TreasuryTransfer { asset, to, amount, payment } => {
            let purpose = match payment {
                Payment::Reward => Purpose::Reward,
                Payment::Withdrawal => Purpose::Withdrawal,
            };
            let given = amount.checked_neg().unwrap_or_default();
            let legs = vec![
                Leg { account: own(*asset, Kind::Treasury), amount: given },
                Leg { account: Key::member(*asset, *to), amount: *amount },
            ];
            ledger::decided(on, operation, purpose, legs, at).await
        }
        Effect::CreditLimit { asset, account, limit } => {
            let floor = limit.and_then(i128::checked_neg);
            ledger::set_floor(on, &Key::member(*asset, *account), floor).await
        }
        Effect::Membership { account, role } => {
            communities::decide_member(on, community, account, *role, accepted).await
        }
        Effect::Pool { arbiter, panel, serves } => {
            lists::decide_pool(on, community, (arbiter, panel), *serves, accepted).await
        }
        Effect::PoolList { arbiter, panel } => {
            let vote = (&proposal.id, listed_before);
            lists::decide_list(on, community, (arbiter, panel), vote, accepted).await
        }
        Effect::Setting { setting, value } => {
            let decided = value.or(result.median);
            let value = decided.ok_or_else(|| store::corrupt("a setting was decided without a number"))?;
            store::set(on, community, *setting, value).await
        }
    }
}
