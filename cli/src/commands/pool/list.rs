//! The member list that a community's vote has decided: taken from the hub, and held to the tally that the hub signed.

use alloy::primitives::B256;
use anyhow::{Result, anyhow, bail};
use hub::{
    communities::{DecidedListView, DecisionView, EarlierListView, PoolView, PublishedView},
    governance::{
        model::{Effect, ProposalBody, TallyBody},
        tally::Verdict,
    },
    records::{Record, RecordId, Stamp},
};
use protocol::{
    arbitration::list_digest,
    chain::{AccountId, Address},
};

use crate::{
    client::{
        http::{Http, Refused},
        hub::Member,
        records,
    },
    commands::Session,
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
    let community = match community {
        Some(named) => Some(named),
        None => only_served(&seen(&member, pool).await?)?,
    };
    let Some(community) = community else {
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
    let community = match community {
        Some(named) => Some(named),
        None => only(&seen(&member, pool).await?.0)?,
    };
    let Some(community) = community else {
        bail!("--community: no community of yours has decided who is on the list of {}", pool.1);
    };
    let list = decided(&member.hub.http, pool, community).await?;
    let (arbiter, panel) = pool;
    let path = format!("/v1/communities/{community}/pools/{arbiter}/{panel}/published");
    let found: PublishedView = member.get(&path).await?;
    let published = match (found.list, found.digest) {
        (Some(index), Some(digest)) => format!("list {index}: {} members, {digest}", found.size),
        (Some(index), None) => format!("list {index}: {} members, too many to be read", found.size),
        (None, _) => "none".to_owned(),
    };
    let is_newest = found.digest == Some(list.decision.digest);
    let holds = is_newest && found.before.is_empty();
    let before: Vec<String> = found.before.iter().map(earlier).collect();
    session.output.one(
        &found,
        &[
            ("pool", panel.to_string()),
            ("community", community.to_string()),
            ("proposal", list.decision.proposal.to_string()),
            ("tally", list.decision.tally.to_string()),
            ("decided", format!("{} members, {}", list.members.len(), list.decision.digest)),
            ("published", published),
            ("before it", if before.is_empty() { "none".to_owned() } else { before.join("\n") }),
            ("holds", holds.to_string()),
        ],
    )?;
    if holds {
        return Ok(());
    }
    Err(Failure::does_not_hold(if is_newest {
        format!(
            "before the list of {panel} that {community} has decided another one counts: {}",
            before.join("; ")
        )
    } else {
        format!("the newest list of {panel} is not the one that {community} has decided")
    }))
}

/// A list that counts before the newest one does, in words.
fn earlier(list: &EarlierListView) -> String {
    let EarlierListView { list, size, effective_at } = list;
    format!("list {list}: {size} members, counts from {} on", moment(*effective_at))
}

/// Unix seconds as people read them.
fn moment(seconds: u64) -> Stamp {
    Stamp::from_ms(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX))
}

/// What the communities of the person have decided of a pool's list, and which of those it serves the person sees.
async fn seen(member: &Member, pool: PoolId) -> Result<(Vec<DecisionView>, Vec<RecordId>)> {
    let (arbiter, panel) = pool;
    let view: Result<PoolView> = member.get(&format!("/v1/pools/{arbiter}/{panel}")).await;
    match view {
        Ok(view) => Ok((view.decided.unwrap_or_default(), view.communities)),
        // Of a pool that the hub does not know nothing has been decided.
        Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.is_missing) => {
            Ok((Vec::new(), Vec::new()))
        }
        Err(error) => Err(error),
    }
}

/// The only decision, where no other community is there whose decision might be meant: the chain has one list for all of them.
fn only_served((decisions, served): &(Vec<DecisionView>, Vec<RecordId>)) -> Result<Option<RecordId>> {
    let Some(community) = only(decisions)? else { return Ok(None) };
    let others: Vec<String> =
        served.iter().filter(|one| **one != community).map(ToString::to_string).collect();
    if others.is_empty() {
        return Ok(Some(community));
    }
    bail!(
        "--community is missing: {community} has decided who is on the list, and the pool also serves {}, of which you \
         see no decision: name whose decision is published",
        others.join(", ")
    )
}

/// The community of the only decision.
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
    let proposal = records::signed(http, list.decision.proposal, "proposal@1").await?;
    let (tally, forged) = records::tally(http, list.decision.tally).await?;
    let asked: ProposalBody = body(&proposal)?;
    let said: TallyBody = body(&tally)?;
    let named = list.decision.community == community && (list.arbiter, list.panel) == pool;
    let fault = if named {
        forged.or_else(|| {
            fault(&list, (proposal.about, &asked.effect), (tally.about, &said)).map(str::to_owned)
        })
    } else {
        Some("the hub answers with another list".to_owned())
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
    use hub::governance::tally::Tally;

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
    fn one_decision_is_not_taken_for_that_of_all_whom_the_pool_serves() {
        let (ours, other) = (id("community"), id("other"));
        let decision = list().decision;
        assert_eq!(only_served(&(vec![], vec![ours, other])).unwrap(), None);
        assert_eq!(only_served(&(vec![decision.clone()], vec![ours])).unwrap(), Some(ours));
        let refused = only_served(&(vec![decision], vec![ours, other])).unwrap_err().to_string();
        for named in ["--community".to_owned(), ours.to_string(), other.to_string()] {
            assert!(refused.contains(&named), "{refused}");
        }
    }

    #[test]
    fn a_list_that_counts_earlier_is_named() {
        let told = earlier(&EarlierListView { list: 3, size: 8, effective_at: 1_795_255_200 });
        assert_eq!(told, "list 3: 8 members, counts from 2026-11-21T10:00:00Z on");
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
