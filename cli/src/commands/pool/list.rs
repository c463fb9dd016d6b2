//! The member list that a community's vote has decided: taken from the hub, and held to the tally that the hub signed.

use alloy::primitives::B256;
use anyhow::{Result, anyhow, bail};
use hub::{
    communities::{DecidedListView, DecisionView, PoolView, PublishedView},
    governance::{
        model::{Effect, ProposalBody, TallyBody},
        tally::Verdict,
    },
    records::{Record, RecordId},
};
use protocol::{
    arbitration::list_digest,
    chain::{AccountId, Address},
};

use crate::{
    client::{
        http::{Http, Refused},
        hub::Member,
    },
    commands::{Session, proposal::signed},
    exit::Failure,
};

/// A pool by its contract and id.
pub(super) type PoolId = (AccountId, B256);

/// Whom the keeper puts on the pool's next list: those whom a vote has decided where there is one, else those given.
pub(super) async fn to_publish(
    session: &Session,
    pool: PoolId,
    community: Option<RecordId>,
    given: Vec<Address>,
) -> Result<Vec<Address>> {
    let member = session.member().await?;
    let Some(community) = deciding(&member, pool, community).await? else {
        if given.is_empty() {
            bail!("MEMBERS: no community of yours has decided who is on the list of {}: name them", pool.1);
        }
        return Ok(given);
    };
    agreed(decided(&member.hub.http, pool, community).await?, given)
}

/// Whether the chain's newest list is the one that was decided; ends with 3 where it is not.
pub(super) async fn check(session: &Session, pool: PoolId, community: Option<RecordId>) -> Result<()> {
    let member = session.member().await?;
    let Some(community) = deciding(&member, pool, community).await? else {
        bail!("--community: no community of yours has decided who is on the list of {}", pool.1);
    };
    let list = decided(&member.hub.http, pool, community).await?;
    let (arbiter, panel) = pool;
    let path = format!("/v1/communities/{community}/pools/{arbiter}/{panel}/published");
    let found: PublishedView = member.get(&path).await?;
    let published = match (found.list, found.digest) {
        (Some(index), Some(digest)) => format!("list {index}: {} members, {digest}", found.size),
        _ => "none".to_owned(),
    };
    let holds = found.digest == Some(list.decision.digest);
    session.output.one(
        &found,
        &[
            ("pool", panel.to_string()),
            ("community", community.to_string()),
            ("proposal", list.decision.proposal.to_string()),
            ("tally", list.decision.tally.to_string()),
            ("decided", format!("{} members, {}", list.members.len(), list.decision.digest)),
            ("published", published),
            ("holds", holds.to_string()),
        ],
    )?;
    if holds {
        return Ok(());
    }
    Err(Failure::does_not_hold(format!(
        "the newest list of {panel} is not the one that {community} has decided"
    )))
}

/// Whose decision it is: that of the community named, else of the only one of the person's that has decided.
async fn deciding(member: &Member, pool: PoolId, named: Option<RecordId>) -> Result<Option<RecordId>> {
    if named.is_some() {
        return Ok(named);
    }
    let (arbiter, panel) = pool;
    let view: Result<PoolView> = member.get(&format!("/v1/pools/{arbiter}/{panel}")).await;
    match view {
        Ok(view) => only(&view.decided.unwrap_or_default()),
        // Of a pool that the hub does not know nothing has been decided.
        Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.is_missing) => Ok(None),
        Err(error) => Err(error),
    }
}

fn only(decisions: &[DecisionView]) -> Result<Option<RecordId>> {
    match decisions {
        [] => Ok(None),
        [one] => Ok(Some(one.community)),
        more => {
            let named: Vec<String> = more.iter().map(|one| one.community.to_string()).collect();
            bail!("--community is missing: several have decided who is on the list: {}", named.join(", "))
        }
    }
}

/// The list that was decided, or those given where they are the same.
fn agreed(list: DecidedListView, mut given: Vec<Address>) -> Result<Vec<Address>> {
    given.sort_unstable();
    given.dedup();
    if given.is_empty() || given == list.members {
        return Ok(list.members);
    }
    bail!(
        "MEMBERS: are not the {} whom community {} has decided by {}: leave them out and what was decided is published, or say \
         --against-the-vote",
        list.members.len(),
        list.decision.community,
        list.decision.tally
    )
}

/// What a vote has decided, where the signed proposal and the signed tally say so.
async fn decided(http: &Http, pool: PoolId, community: RecordId) -> Result<DecidedListView> {
    let (arbiter, panel) = pool;
    let path = format!("/v1/communities/{community}/pools/{arbiter}/{panel}");
    let list: DecidedListView = http.get(&path).await?;
    let proposal = signed(http, list.decision.proposal, "proposal@1").await?;
    let tally = signed(http, list.decision.tally, "tally@1").await?;
    let asked: ProposalBody = body(&proposal)?;
    let said: TallyBody = body(&tally)?;
    let named = list.decision.community == community && (list.arbiter, list.panel) == pool;
    let fault = if named {
        fault(&list, (proposal.about, &asked.effect), (tally.about, &said))
    } else {
        Some("the hub answers with another list")
    };
    match fault {
        None => Ok(list),
        Some(fault) => Err(Failure::does_not_hold(format!("the list of {panel} by {community}: {fault}"))),
    }
}

fn body<T: serde::de::DeserializeOwned>(record: &Record) -> Result<T> {
    record.body_as().map_err(|refusal| anyhow!("{}: {refusal}", record.id))
}

/// Why the records do not bear the list out; none where they do.
fn fault(
    list: &DecidedListView,
    (asked_of, effect): (Option<RecordId>, &Effect),
    (said_of, said): (Option<RecordId>, &TallyBody),
) -> Option<&'static str> {
    let wanted = Effect::PoolList { arbiter: list.arbiter, panel: list.panel };
    if asked_of != Some(list.decision.community) || *effect != wanted {
        return Some("the proposal asks for something else");
    }
    if said_of != Some(list.decision.proposal) || said.result.verdict != Verdict::Accepted {
        return Some("the tally does not accept that proposal");
    }
    let digest = list_digest(&list.members);
    if said.list != Some(digest) || list.decision.digest != digest {
        return Some("the members are not those whom the tally names");
    }
    None
}

#[cfg(test)]
mod tests {
    use hub::{governance::tally::Tally, records::Stamp};

    use super::*;

    fn id(text: &str) -> RecordId {
        RecordId::of(&serde_json::json!({ "of": text })).unwrap()
    }

    fn list() -> DecidedListView {
        let members: Vec<Address> =
            (1..=8).map(|last| alloy::primitives::Address::with_last_byte(last).into()).collect();
        let decision = DecisionView {
            community: id("community"),
            proposal: id("proposal"),
            tally: id("tally"),
            digest: list_digest(&members),
            size: 8,
            decided: Stamp::from_ms(0),
        };
        let arbiter = "eip155:31337:0x5FbDB2315678afecb367f032d93F642f64180aa3".parse().unwrap();
        DecidedListView { arbiter, panel: B256::repeat_byte(1), decision, members }
    }

    #[test]
    fn nothing_is_published_but_what_was_decided() {
        let members = list().members;
        let turned: Vec<Address> = members.iter().rev().copied().chain([members[0]]).collect();
        for given in [vec![], members.clone(), turned] {
            assert_eq!(agreed(list(), given).unwrap(), members);
        }
        let refused = agreed(list(), members[1..].to_vec()).unwrap_err().to_string();
        assert!(refused.contains("--against-the-vote"), "{refused}");
        let decision = list().decision;
        assert_eq!(only(&[]).unwrap(), None);
        assert_eq!(only(std::slice::from_ref(&decision)).unwrap(), Some(id("community")));
        let several = [decision.clone(), DecisionView { community: id("other"), ..decision }];
        assert!(only(&several).unwrap_err().to_string().contains("--community"));
    }

    #[test]
    fn a_list_is_what_the_signed_tally_names() {
        let list = list();
        let effect = Effect::PoolList { arbiter: list.arbiter, panel: list.panel };
        let result = Tally {
            electors: 8,
            voted: 8,
            yes: 8,
            no: 0,
            abstained: 0,
            median: None,
            verdict: Verdict::Accepted,
        };
        let digest = Some(list.decision.digest);
        let said = TallyBody { electorate: String::new(), ballots: String::new(), result, list: digest };
        let (community, proposal) = (Some(id("community")), Some(id("proposal")));
        assert_eq!(fault(&list, (community, &effect), (proposal, &said)), None);
        let is =
            |found: Option<&'static str>, word: &str| assert!(found.unwrap().contains(word), "{found:?}");
        is(fault(&list, (proposal, &effect), (proposal, &said)), "something else");
        let other = Effect::PoolList { arbiter: list.arbiter, panel: B256::repeat_byte(2) };
        is(fault(&list, (community, &other), (proposal, &said)), "something else");
        is(fault(&list, (community, &effect), (community, &said)), "does not accept");
        let lost = TallyBody { result: Tally { verdict: Verdict::Tie, ..result }, ..said.clone() };
        is(fault(&list, (community, &effect), (proposal, &lost)), "does not accept");
        for names in [None, Some(B256::ZERO)] {
            let said = TallyBody { list: names, ..said.clone() };
            is(fault(&list, (community, &effect), (proposal, &said)), "not those");
        }
        let mut longer = list;
        longer.members.push(alloy::primitives::Address::with_last_byte(9).into());
        is(fault(&longer, (community, &effect), (proposal, &said)), "not those");
    }
}
