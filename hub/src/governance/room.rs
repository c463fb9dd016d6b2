//! What `submit` asks of this room.

use std::collections::BTreeSet;

use protocol::arbitration::list_digest;
use serde_json::{Value, json};
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    effects,
    model::{
        BALLOTS_MAX, DAY_MS, DepositBody, ELECTOR_BALLOTS_MAX, ELECTORS_MAX, Effect, OPEN_MAX, ProposalBody,
        TallyBody, VoteBody, may_open_another,
    },
    rule::Electorate,
    store::{self, Decision, Proposal},
    table::{self, Action, State},
    tally::{Verdict, counted, digest, tally},
};
use crate::{
    Hub,
    access::{Audience, Role},
    communities::{self, lists},
    error::{Error, Refusal},
    grievances, identity,
    ledger::{
        self,
        model::{Holder, Key, Kind, OperationId},
        post::Leg,
        rules::Purpose,
    },
    outbox,
    records::{Accepted, Draft, Record, RecordId, Stamp, log},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["proposals", "electors", "votes", "community_settings"];

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    record.about()?;
    match record.kind.as_str() {
        "proposal@1" => {
            let body: ProposalBody = record.body_as()?;
            body.check()?;
            match body.electorate {
                Electorate::Roles(_) => shown_to_the_community(record),
                Electorate::Jury(_) => Ok(()),
            }
        }
        "deposit@1" => {
            record.body_as::<DepositBody>()?.check()?;
            shown_to_the_community(record)
        }
        "vote@1" => {
            record.body_as::<VoteBody>()?;
            // The record itself must not tell what the proposal may keep hidden until its close.
            if record.audience == [Audience::Account(record.account())] {
                return Ok(());
            }
            let told = "a ballot is shown by its proposal: name only yourself, account:<your id>";
            Err(Refusal::schema("ballot_audience", "/audience", told))
        }
        _ => record.body_as::<TallyBody>().map(drop),
    }
}

fn shown_to_the_community(record: &Record) -> Result<(), Refusal> {
    let community = Audience::Community(record.about()?);
    if record.audience.iter().any(|entry| *entry == Audience::Public || *entry == community) {
        return Ok(());
    }
    Err(Refusal::schema(
        "audience",
        "/audience",
        format!("the community has to be able to read it: add {community}"),
    ))
}

/// No community pays the hub: see [`ledger::payable`].
pub(crate) fn prepare(hub: &Hub, record: &Record) -> Result<Value, Error> {
    if record.kind != "proposal@1" {
        return Ok(Value::Null);
    }
    match record.body_as::<ProposalBody>()?.effect {
        Effect::TreasuryTransfer { to, .. } => {
            ledger::payable(hub, &to, "/body/effect/treasury_transfer/to")?;
        }
        Effect::AdminAdjustment { entries, .. } => {
            for entry in entries.iter().filter(|entry| entry.amount > 0) {
                ledger::payable(hub, &entry.account, "/body/effect/admin_adjustment/entries")?;
            }
        }
        _ => {}
    }
    Ok(Value::Null)
}

pub(crate) async fn admit(on: &mut AnyConnection, record: &Record) -> Result<(), Error> {
    match record.kind.as_str() {
        "vote@1" => no_older_ballot(on, record).await,
        "tally@1" => listed_at_the_close(on, record).await,
        _ => Ok(()),
    }
}

/// A second thought takes the place of the first and never the other way round: whoever kept a ballot back cannot bring it when its
/// elector has cast a newer one.
async fn no_older_ballot(on: &mut AnyConnection, record: &Record) -> Result<(), Error> {
    let Some(last) = store::last_of(on, &record.about()?, &record.account()).await? else { return Ok(()) };
    let Some(last) = log::find(on, &last).await? else {
        return Err(store::corrupt(format_args!("the log has no ballot {last}")));
    };
    let same = last.record.device == record.device;
    let (signed, taken) = (last.record.created.ms(), last.received_at);
    // Another device's clock is not believed where it is ahead, or one in other hands would keep the elector's out.
    let cast = if same { signed } else { signed.min(taken) };
    if record.created.ms() >= cast {
        return Ok(());
    }
    let told = format!(
        "{} is before {}, when the ballot that was cast last was signed: sign a new one",
        record.created,
        Stamp::from_ms(cast)
    );
    Err(Refusal::conflict("older_ballot", "/created", told).into())
}

/// A list is of those who stood before the close.
async fn listed_at_the_close(on: &mut AnyConnection, record: &Record) -> Result<(), Error> {
    let Some(proposal) = store::proposal(on, &record.about()?).await? else { return Ok(()) };
    if proposal.state != State::Open || !matches!(proposal.body.effect, Effect::PoolList { .. }) {
        return Ok(());
    }
    let said: TallyBody = record.body_as()?;
    if count(on, &proposal, proposal.body.closes.ms()).await?.list == said.list {
        return Ok(());
    }
    Err(other_tally().into())
}

fn other_tally() -> Refusal {
    Refusal::conflict("other_tally", "/body", "is not what the ballots come to")
}

pub(crate) async fn apply(hub: &Hub, write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let (on, record) = (write.on(), &accepted.record);
    by_whom_it_may(hub, record)?;
    match record.kind.as_str() {
        "proposal@1" => open(on, accepted).await?,
        "vote@1" => vote(on, accepted).await?,
        "deposit@1" => deposit(on, accepted).await?,
        _ => return close(hub.account, on, accepted).await,
    }
    Ok(Vec::new())
}

/// Tallies and what juries are asked are the hub's to say; nothing else is.
fn by_whom_it_may(hub: &Hub, record: &Record) -> Result<(), Refusal> {
    let asks_a_jury = record.kind == "proposal@1"
        && matches!(record.body_as::<ProposalBody>()?.electorate, Electorate::Jury(_));
    let hubs = asks_a_jury || record.kind == "tally@1";
    match (hubs, record.device == hub.key.device()) {
        (false, true) => {
            let told = format!("{} is said by members' own devices, never by the hub's", record.kind);
            Err(Refusal::access("never_hub_signed", "/device", told))
        }
        (true, false) => {
            Err(Refusal::access("hub_only", "/device", "only the hub itself asks the jury of a grievance"))
        }
        _ => Ok(()),
    }
}

/// The author is of the community.
async fn belongs(on: &mut AnyConnection, record: &Record) -> Result<RecordId, Error> {
    let community = record.about()?;
    if communities::community(on, &community).await?.is_none() {
        let told = format!("there is no community {community}");
        return Err(Refusal::rule("unknown_community", "/about", told).into());
    }
    if communities::role_of(on, &community, &record.account()).await?.is_none() {
        let told = format!("does not belong to community {community}");
        return Err(Refusal::access("members_only", "/author", told).into());
    }
    Ok(community)
}

async fn open(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let Accepted { record, received_at: now, seq, .. } = accepted;
    let (community, author) = (record.about()?, record.account());
    let body: ProposalBody = record.body_as()?;
    let electors = match &body.electorate {
        Electorate::Jury(grievance) => grievances::seated(on, grievance, &record.id).await?,
        Electorate::Roles(roles) => asked_by_a_member(on, accepted, &body, roles).await?,
    };
    let count = i64::try_from(electors.len()).unwrap_or(i64::MAX);
    let proposal = Proposal {
        id: record.id,
        seq: *seq,
        community,
        author,
        body,
        audience: record.audience.clone(),
        opened_at: *now,
        electors: count,
        state: State::Open,
        decision: None,
    };
    store::open(on, &proposal, &electors).await?;
    tell(on, &proposal, State::Open).await
}

/// Who votes on what a member asks of the community, where the member may ask it.
async fn asked_by_a_member(
    on: &mut AnyConnection,
    accepted: &Accepted,
    body: &ProposalBody,
    roles: &[Role],
) -> Result<BTreeSet<RecordId>, Error> {
    let Accepted { record, received_at: now, .. } = accepted;
    let (community, author) = (belongs(on, record).await?, record.account());
    body.may_open(&store::settings(on, &community).await?, *now)?;
    effects::possible(on, &community, &body.effect).await?;
    if store::open_of(on, &community, &author).await? >= OPEN_MAX {
        let told = format!("has {OPEN_MAX} open proposals in this community, which is the most");
        return Err(Refusal::conflict("too_many_open", "/author", told).into());
    }
    let electors = communities::with_roles(on, &community, roles, ELECTORS_MAX).await?;
    if electors.is_empty() || electors.len() > ELECTORS_MAX {
        let told = format!("must be 1 to {ELECTORS_MAX} accounts at its opening");
        return Err(Refusal::rule("electorate_size", "/body/electorate", told).into());
    }
    let count = i64::try_from(electors.len()).unwrap_or(i64::MAX);
    let (opened, their_electors) = store::opened_since(on, &author, now.saturating_sub(DAY_MS)).await?;
    may_open_another(opened, their_electors, count)?;
    Ok(electors)
}

async fn known(on: &mut AnyConnection, record: &Record) -> Result<Proposal, Error> {
    let about = record.about()?;
    store::proposal(on, &about).await?.ok_or_else(|| {
        Refusal::rule("unknown_proposal", "/about", format!("there is no proposal {about}")).into()
    })
}

async fn vote(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let Accepted { record, received_at: now, .. } = accepted;
    let (proposal, author) = (known(on, record).await?, record.account());
    if !store::is_elector(on, &proposal.id, &author).await? {
        let told = format!("is no elector of {}: the electorate was frozen when it opened", proposal.id);
        return Err(Refusal::access("electors_only", "/author", told).into());
    }
    table::may(proposal.state, Action::Vote, *now, proposal.body.closes.ms())?;
    let body: VoteBody = record.body_as()?;
    if !proposal.body.rule.takes(&body.choice) {
        let told =
            "must be yes, no or abstain; where a median is asked for, a number within its bounds or abstain";
        return Err(Refusal::rule("choice", "/body/choice", told).into());
    }
    // Those that speak no more take none from the others: whoever had the elector's wallet for a minute leaves them their say.
    let devices = identity::speaking(on, &author).await?;
    let (by_device, by_elector) =
        store::ballots_of(on, &proposal.id, &author, (&record.device, devices.as_slice())).await?;
    if by_device >= BALLOTS_MAX {
        let told = format!("has cast {BALLOTS_MAX} ballots here, which is the most of a device");
        return Err(Refusal::conflict("too_many_ballots", "/device", told).into());
    }
    if by_elector >= ELECTOR_BALLOTS_MAX {
        let told = format!(
            "has cast {ELECTOR_BALLOTS_MAX} ballots here, which is the most of an elector by devices that speak"
        );
        return Err(Refusal::conflict("too_many_ballots", "/author", told).into());
    }
    store::vote(on, &proposal.id, &body, accepted).await?;
    tell(on, &proposal, State::Open).await
}

async fn tell(on: &mut AnyConnection, proposal: &Proposal, state: State) -> Result<(), Error> {
    let data = json!({ "proposal": proposal.id, "community": proposal.community, "state": state });
    outbox::append(on, "proposal", &proposal.audience, &data).await
}

/// What the ballots of a proposal come to. A list that they accept is of those who stood before this moment, in Unix milliseconds.
pub(super) async fn count(
    on: &mut AnyConnection,
    proposal: &Proposal,
    listed_before: i64,
) -> Result<TallyBody, Error> {
    let electors = store::electors(on, &proposal.id).await?;
    let (rule, closes_at) = (&proposal.body.rule, proposal.body.closes.ms());
    let ballots = store::last_ballots(on, &proposal.id, closes_at).await?;
    let result = tally(&electors, rule, closes_at, &ballots);
    let list = match &proposal.body.effect {
        // The hub signs which list it is together with the count: what it serves later is that one or provably another.
        Effect::PoolList { arbiter, .. } if result.verdict == Verdict::Accepted => {
            let roll = lists::roll(on, &proposal.community, arbiter.chain, listed_before).await?;
            roll.map(|members| list_digest(&members))
        }
        _ => None,
    };
    Ok(TallyBody {
        electorate: digest(&electors),
        ballots: digest(
            counted(&electors, rule, closes_at, &ballots).into_iter().map(|ballot| &ballot.record),
        ),
        result,
        list,
    })
}

async fn close(hub: RecordId, on: &mut AnyConnection, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let Accepted { record, received_at: now, .. } = accepted;
    let proposal = known(on, record).await?;
    table::may(proposal.state, Action::Tally, *now, proposal.body.closes.ms())?;
    let said: TallyBody = record.body_as()?;
    // A log may have lists from before that are of whoever stood when they were counted. No new one is: see `admit`.
    let closes_at = proposal.body.closes.ms();
    let listed_before = if count(on, &proposal, closes_at).await? == said {
        closes_at
    } else if count(on, &proposal, i64::MAX).await? == said {
        i64::MAX
    } else {
        return Err(other_tally().into());
    };
    let result = said.result;
    let (unexecuted, drafts) =
        effects::execute(hub, on, &proposal, (&result, listed_before), accepted).await?;
    let state = State::decided(result.verdict, unexecuted.is_none());
    let decision = Decision { record: record.id, result, at: *now, unexecuted };
    store::decide(on, &proposal.id, state, &decision).await?;
    tell(on, &proposal, state).await?;
    Ok(drafts)
}

/// From a member to the community's treasury, which only a vote takes from.
async fn deposit(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let Accepted { record, received_at: now, .. } = accepted;
    let (community, author) = (belongs(on, record).await?, record.account());
    let DepositBody { asset, amount, .. } = record.body_as()?;
    let treasury = Key { asset, kind: Kind::Treasury, holder: Holder::Record(community) };
    let legs = vec![
        Leg { account: Key::member(asset, author), amount: amount.checked_neg().unwrap_or_default() },
        Leg { account: treasury, amount },
    ];
    ledger::signed(on, author, OperationId::first(record.id), Purpose::Deposit, legs, *now).await?;
    let told = json!({ "record": record.id, "type": record.kind, "community": community });
    outbox::append(on, "ledger", &record.audience, &told).await
}
