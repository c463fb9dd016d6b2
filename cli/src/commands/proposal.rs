//! `earnest proposal`: what a community decides. `tally` counts again from the signed records and compares.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail};
use clap::Subcommand;
use hub::{
    access::{Audience, Role},
    governance::{
        ProposalView, VoteView,
        model::{DepositBody, Effect, ProposalBody, TallyBody, VoteBody},
        rule::{Absence, Ballots, Choice, Electorate, Needs, Rule, Share, ShareError},
        table::State,
        tally::{Ballot, Tally, counted, digest, tally},
    },
    ledger::{StatementView, model::Asset},
    page::Page,
    records::{Record, RecordId, Stamp},
};
use serde::Serialize;

use super::{Session, ledger, query, record_id, word};
use crate::{
    client::{http::Http, hub::now, records},
    exit::Failure,
};

/// How long a proposal is open where the command line does not say, in milliseconds: four days.
const WINDOW_MS: i64 = 4 * 24 * 60 * 60 * 1000;

const EFFECTS: &str = "\
An effect is JSON as records have it; amounts are in the smallest unit:
  \"text\"
  {\"treasury_transfer\": {\"asset\": \"time_credit\", \"to\": \"zQm…\", \"amount\": \"150\", \"payment\": \"reward\"}}
  {\"membership\": {\"account\": \"zQm…\", \"role\": \"steward\"}}                      null: no member
  {\"pool\": {\"arbiter\": \"eip155:1:0x…\", \"panel\": \"0x…\", \"serves\": true}}              false: it is the community's no more
  {\"pool_list\": {\"arbiter\": \"eip155:1:0x…\", \"panel\": \"0x…\"}}                       its next list: the community's candidates at the close
  {\"setting\": {\"setting\": \"quorum_min_percent\", \"value\": \"60\"}}            null: the median of the ballots
  {\"credit_limit\": {\"asset\": \"time_credit\", \"account\": \"zQm…\", \"limit\": \"2000\"}}
  {\"admin_adjustment\": {\"asset\": \"time_credit\", \"against\": \"treasury\", \"entries\": [{\"account\": \"zQm…\", \"amount\": \"-50\"}]}}

Example:
  earnest --as ida proposal open zQmCommunity… 'Pay for the shed' --effect '{\"treasury_transfer\": {…}}' --quorum 1/2";

/// What a community decides.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Propose something to a community; whoever belongs to it at that moment may vote
    #[command(after_help = EFFECTS)]
    Open {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// In a line, at most 80 characters
        title: String,
        /// In words, at most 10,000 characters
        #[arg(long, default_value = "")]
        text: String,
        /// What an acceptance does, as JSON
        #[arg(long, default_value = "\"text\"", value_parser = effect)]
        effect: Effect,
        /// majority, supermajority:2/3, unanimous:blocks (or agrees, stands_aside: what the absent do), median:0..100
        #[arg(long, default_value = "majority", value_parser = needs)]
        needs: Needs,
        /// The share of the electors that has to vote
        #[arg(long, default_value = "1/2", value_parser = share)]
        quorum: Share,
        /// From when on no ballot is taken [default: four days from now]
        #[arg(long, value_parser = stamp)]
        closes: Option<Stamp>,
        /// Keep ballots hidden until then
        #[arg(long)]
        hidden: bool,
        /// Who votes: member, steward; both when missing
        #[arg(long, value_parser = word::<Role>)]
        role: Vec<Role>,
    },
    /// List proposals, oldest first
    List {
        /// Of this community alone
        #[arg(long, value_parser = record_id)]
        community: Option<RecordId>,
        /// open, rejected, executed or unexecuted
        #[arg(long, value_parser = word::<State>)]
        state: Option<State>,
        /// `next` of the page before
        #[arg(long)]
        after: Option<u64>,
    },
    /// Show a proposal and what has become of it
    Show {
        /// The proposal
        #[arg(value_parser = record_id)]
        proposal: RecordId,
    },
    /// Vote; the last ballot before the close counts
    #[command(after_help = "Example:\n  earnest --as ida proposal vote zQmProposal… yes")]
    Vote {
        /// The proposal
        #[arg(value_parser = record_id)]
        proposal: RecordId,
        /// yes, no, abstain; or a number, where the median is asked for
        #[arg(value_parser = choice, allow_hyphen_values = true)]
        choice: Choice,
    },
    /// Count again from electors and signed ballots, and compare with what the hub says; ends with 3 where they differ
    Tally {
        /// The proposal
        #[arg(value_parser = record_id)]
        proposal: RecordId,
    },
    /// Give to a community's treasury, which only its votes take from
    Deposit {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// How much, in hours or what the asset's unit is
        amount: String,
        /// time_credit, a CAIP-19 id, or the id of the record that issued it
        #[arg(long, default_value = "time_credit", value_parser = ledger::asset)]
        asset: Asset,
        /// What for, at most 280 characters
        #[arg(long, default_value = "")]
        note: String,
    },
}

fn effect(text: &str) -> Result<Effect, String> {
    serde_json::from_str(text).map_err(|error| format!("no effect: {error}"))
}

fn share(text: &str) -> Result<Share, String> {
    text.parse().map_err(|error: ShareError| error.to_string())
}

fn stamp(text: &str) -> Result<Stamp, String> {
    text.parse().map_err(|error: hub::records::StampError| error.to_string())
}

fn needs(text: &str) -> Result<Needs, String> {
    let read = || {
        Some(match text.split_once(':') {
            None if text == "majority" => Needs::Majority,
            Some(("supermajority", share)) => Needs::Supermajority(share.parse().ok()?),
            Some(("unanimous", absence)) => Needs::Unanimous(word::<Absence>(absence).ok()?),
            Some(("median", bounds)) => {
                let (lowest, highest) = bounds.split_once("..")?;
                Needs::Median { lowest: lowest.parse().ok()?, highest: highest.parse().ok()? }
            }
            _ => return None,
        })
    };
    read().ok_or_else(|| {
        "must be majority, supermajority:2/3, unanimous:blocks, unanimous:agrees, unanimous:stands_aside or \
         median:LOWEST..HIGHEST"
            .to_owned()
    })
}

fn choice(text: &str) -> Result<Choice, String> {
    match text {
        "yes" => Ok(Choice::Yes),
        "no" => Ok(Choice::No),
        "abstain" => Ok(Choice::Abstain),
        number => number
            .parse()
            .map(Choice::Number)
            .map_err(|_| "must be yes, no, abstain or a whole number".to_owned()),
    }
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Open { community, title, text, effect, needs, quorum, closes, hidden, role } => {
            let member = session.member().await?;
            let roles = if role.is_empty() { vec![Role::Member, Role::Steward] } else { role };
            let body = ProposalBody {
                title,
                text,
                electorate: Electorate::Roles(roles),
                rule: Rule { quorum, needs },
                ballots: if hidden { Ballots::Hidden } else { Ballots::Open },
                closes: closes.unwrap_or_else(|| Stamp::from_ms(now().ms().saturating_add(WINDOW_MS))),
                effect,
            };
            let draft = member.draft("proposal@1", &body)?.about(community);
            let draft = draft.only_for(vec![Audience::Community(community)]);
            session.accepted("proposal", &member.say(&draft).await?)
        }
        Verb::List { community, state, after } => {
            let parameters = [
                ("community", community.map(|id| id.to_string())),
                ("state", state.map(|state| state.name().to_owned())),
                ("after", after.map(|after| after.to_string())),
            ];
            let page: Page<ProposalView> =
                session.reader().await?.get(&query("/v1/proposals", &parameters)).await?;
            let rows = page
                .items
                .iter()
                .map(|one| {
                    vec![
                        one.id.to_string(),
                        one.state.name().to_owned(),
                        one.closes.to_string(),
                        one.title.clone(),
                    ]
                })
                .collect();
            session.output.many(&page, &["proposal", "state", "closes", "title"], rows)
        }
        Verb::Show { proposal } => {
            let shown: ProposalView =
                session.reader().await?.get(&format!("/v1/proposals/{proposal}")).await?;
            session.output.one(&shown, &lines(&shown)?)
        }
        Verb::Vote { proposal, choice } => {
            let member = session.member().await?;
            let draft = member.draft("vote@1", &VoteBody { choice })?.about(proposal);
            let draft = draft.only_for(vec![Audience::Account(member.account)]);
            session.accepted("vote", &member.say(&draft).await?)
        }
        Verb::Tally { proposal } => count(session, proposal).await,
        Verb::Deposit { community, amount, asset, note } => {
            let member = session.member().await?;
            let statement: StatementView = member.get(&ledger::path(asset, None, 1)).await?;
            let amount = ledger::units(&amount, statement.account.scale)?;
            let draft = member.draft("deposit@1", &DepositBody { asset, amount, note })?.about(community);
            let draft = draft.only_for(vec![Audience::Community(community)]);
            session.accepted("deposit", &member.say(&draft).await?)
        }
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

fn lines(shown: &ProposalView) -> Result<Vec<(&'static str, String)>> {
    let voted = shown.voted.map_or_else(String::new, |voted| format!("{voted} of {}", shown.electors));
    let mut lines = vec![
        ("proposal", shown.id.to_string()),
        ("community", shown.community.to_string()),
        ("author", shown.author.to_string()),
        ("title", shown.title.clone()),
        ("text", shown.text.clone().unwrap_or_default()),
        ("effect", json(&shown.effect)?),
        ("needs", json(&shown.rule.needs)?),
        ("quorum", shown.rule.quorum.to_string()),
        ("opened", shown.opened.to_string()),
        ("closes", shown.closes.to_string()),
        ("voted", voted),
        ("state", shown.state.name().to_owned()),
    ];
    if let Some(result) = &shown.result {
        lines.push(("result", told(result)?));
    }
    if let Some(why) = &shown.unexecuted {
        lines.push(("unexecuted", format!("{} ({})", why.detail, why.rule)));
    }
    Ok(lines)
}

fn told(result: &Tally) -> Result<String> {
    let Tally { electors, voted, yes, no, abstained, median, verdict } = result;
    let median = median.map_or_else(String::new, |median| format!(", median {median}"));
    let verdict = serde_json::to_value(verdict)?;
    let verdict = verdict.as_str().unwrap_or_default();
    Ok(format!("{verdict}: {yes} yes, {no} no, {abstained} abstained{median}; {voted} of {electors} voted"))
}

/// What a count from the records found, as JSON and tables show it.
#[derive(Serialize)]
struct Counted {
    proposal: RecordId,
    state: State,
    counted: TallyBody,
    said: Option<TallyBody>,
    faults: Vec<String>,
}

/// Everything of a list.
async fn all<T: serde::de::DeserializeOwned>(http: &Http, path: &str) -> Result<Vec<T>> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page: Page<T> =
            http.get(&query(path, &[("after", after.clone()), ("limit", Some("100".to_owned()))])).await?;
        items.extend(page.items);
        match page.next {
            Some(next) if after.as_ref() != Some(&next) => after = Some(next),
            Some(next) => bail!("{path}: the hub's `next` {next:.60} leads nowhere"),
            None => return Ok(items),
        }
    }
}

/// The ballot in a record, where it is one of this proposal and its signature holds.
fn ballot(view: &VoteView, proposal: RecordId) -> Result<Ballot> {
    let record = Record::read(&view.record).map_err(|refusal| anyhow!("{refusal}"))?;
    if record.kind != "vote@1" || record.about != Some(proposal) {
        bail!("{} is no ballot of this proposal", record.id);
    }
    let VoteBody { choice } = record.body_as().map_err(|refusal| anyhow!("{}: {refusal}", record.id))?;
    Ok(Ballot {
        seq: view.seq,
        received_at: view.received.ms(),
        elector: record.account(),
        record: record.id,
        choice,
    })
}

async fn count(session: &Session, proposal: RecordId) -> Result<()> {
    let http = session.reader().await?;
    let shown: ProposalView = http.get(&format!("/v1/proposals/{proposal}")).await?;
    if shown.state == State::Open && shown.ballots == Ballots::Hidden {
        bail!("the ballots of {proposal} are hidden until {}", shown.closes);
    }
    let body: ProposalBody = records::signed(&http, proposal, "proposal@1").await?.body_as()?;
    let mut faults = Vec::new();
    if (body.rule, body.closes, &body.effect) != (shown.rule, shown.closes, &shown.effect) {
        faults.push("the hub shows another rule, close or effect than the signed proposal".to_owned());
    }
    let electors: BTreeSet<RecordId> =
        all(&http, &format!("/v1/proposals/{proposal}/electors")).await?.into_iter().collect();
    let views: Vec<VoteView> = all(&http, &format!("/v1/proposals/{proposal}/ballots")).await?;
    let mut ballots = Vec::with_capacity(views.len());
    for view in &views {
        match ballot(view, proposal) {
            Ok(ballot) => ballots.push(ballot),
            Err(error) => faults.push(format!("the ballot at {}: {error:#}", view.seq)),
        }
    }
    let closes_at = body.closes.ms();
    let counting = counted(&electors, &body.rule, closes_at, &ballots);
    let mine = TallyBody {
        electorate: digest(&electors),
        ballots: digest(counting.into_iter().map(|ballot| &ballot.record)),
        result: tally(&electors, &body.rule, closes_at, &ballots),
        // Who belongs to the community is not among the ballots: `earnest pool check` holds a list to the tally.
        list: None,
    };
    let said = match shown.tally {
        Some(id) => {
            let (record, fault) = records::tally(&http, id).await?;
            faults.extend(fault);
            let body: TallyBody = record.body_as().with_context(|| format!("{id}"))?;
            Some(body)
        }
        None => None,
    };
    faults.extend(differences(&shown, &mine, said.as_ref()));
    let found = Counted { proposal, state: shown.state, counted: mine, said, faults };
    let hubs = match &found.said {
        Some(said) => told(&said.result)?,
        None => "nothing yet".to_owned(),
    };
    let result = told(&found.counted.result)?;
    session.output.one(
        &found,
        &[
            ("proposal", proposal.to_string()),
            ("state", found.state.name().to_owned()),
            ("counted", result),
            ("the hub says", hubs),
            ("", found.faults.join("\n")),
        ],
    )?;
    if found.faults.is_empty() {
        return Ok(());
    }
    Err(Failure::does_not_hold(format!("the tally does not hold: {}", found.faults.join("; "))))
}

/// Where the hub's word is not what the records come to.
fn differences(shown: &ProposalView, mine: &TallyBody, said: Option<&TallyBody>) -> Vec<String> {
    let mut faults = Vec::new();
    let Some(said) = said else {
        if shown.state != State::Open {
            faults.push("the hub calls it decided and shows no tally".to_owned());
        }
        return faults;
    };
    if said.electorate != mine.electorate {
        faults.push("the electors are not those that the hub counted".to_owned());
    }
    if said.ballots != mine.ballots {
        faults.push("the ballots that count are not those that the hub counted".to_owned());
    }
    if said.result != mine.result || shown.result != Some(mine.result) {
        faults.push("the result is another".to_owned());
    }
    if shown.state != State::decided(mine.result.verdict, shown.unexecuted.is_none()) {
        faults
            .push(format!("the hub calls it {}, which does not follow from the result", shown.state.name()));
    }
    faults
}

#[cfg(test)]
mod tests {
    use hub::governance::tally::Verdict;

    use super::*;

    #[test]
    fn rules_and_choices_are_read_as_they_are_written() {
        assert_eq!(needs("majority").unwrap(), Needs::Majority);
        assert_eq!(needs("supermajority:2/3").unwrap(), Needs::Supermajority("2/3".parse().unwrap()));
        assert_eq!(needs("unanimous:stands_aside").unwrap(), Needs::Unanimous(Absence::StandsAside));
        assert_eq!(needs("median:-5..10").unwrap(), Needs::Median { lowest: -5, highest: 10 });
        for bad in
            ["", "most", "majority:1/2", "supermajority:3/2", "unanimous:absent", "median:1", "median:a..b"]
        {
            assert!(needs(bad).unwrap_err().contains("median:"), "{bad}");
        }
        assert_eq!([choice("no").unwrap(), choice("-7").unwrap()], [Choice::No, Choice::Number(-7)]);
        assert!(choice("perhaps").unwrap_err().contains("abstain"));
        assert!(effect("{\"membership\": {}}").unwrap_err().contains("account"));
        assert_eq!(effect("\"text\"").unwrap(), Effect::Text);
        assert!(effect("{\"pool_list\": {}}").unwrap_err().contains("arbiter"));
    }

    #[test]
    fn whatever_the_hub_says_otherwise_is_named() {
        let result = Tally {
            electors: 3,
            voted: 2,
            yes: 2,
            no: 0,
            abstained: 0,
            median: None,
            verdict: Verdict::Accepted,
        };
        let id: RecordId = "zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr".parse().unwrap();
        let shown = ProposalView {
            id,
            community: id,
            author: id,
            title: "A shed".to_owned(),
            text: None,
            electorate: Electorate::Roles(vec![Role::Member]),
            rule: Rule { quorum: "1/2".parse().unwrap(), needs: Needs::Majority },
            ballots: Ballots::Open,
            effect: Effect::Text,
            opened: Stamp::from_ms(0),
            closes: Stamp::from_ms(60_000),
            state: State::Executed,
            electors: 3,
            voted: Some(2),
            tally: Some(id),
            result: Some(result),
            decided: Some(Stamp::from_ms(60_000)),
            unexecuted: None,
        };
        let mine = TallyBody { electorate: "e".to_owned(), ballots: "b".to_owned(), result, list: None };
        assert_eq!(differences(&shown, &mine, Some(&mine)), Vec::<String>::new());
        let other = |change: &dyn Fn(&mut ProposalView, &mut TallyBody)| {
            let (mut shown, mut said) = (shown.clone(), mine.clone());
            change(&mut shown, &mut said);
            differences(&shown, &mine, Some(&said)).join("; ")
        };
        assert!(other(&|_, said| said.electorate.clear()).contains("electors"));
        assert!(other(&|_, said| said.ballots.clear()).contains("ballots"));
        assert!(other(&|_, said| said.result.yes = 3).contains("result"));
        assert!(other(&|shown, _| shown.result = None).contains("result"));
        assert!(other(&|shown, _| shown.state = State::Rejected).contains("rejected"));
        assert!(differences(&shown, &mine, None).join("").contains("no tally"));
        assert_eq!(told(&result).unwrap(), "accepted: 2 yes, 0 no, 0 abstained; 2 of 3 voted");
    }
}
