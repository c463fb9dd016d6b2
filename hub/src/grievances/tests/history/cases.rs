//! The simple community: its balances, and what each grievance is and where it stands.

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Filed,
    Mediation,
    Proposed,
    Escalated,
    Voting,
    Resolved,
}

impl Stage {
    pub(super) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// What a grievance is of, and what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// That a payment is given back.
    Reversal,
    /// That it is said who is right about a payment.
    Payment,
    /// About what the respondent says that they do.
    Contribution,
    /// The same, as something that they attest.
    Words,
    /// About a steward's word on what the respondent is in the community.
    Membership,
    /// That what the respondent has attested of somebody is taken back.
    Credential,
}

impl What {
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Reversal | Self::Payment => "trade",
            Self::Contribution => "contribution",
            Self::Words | Self::Credential => "attestation",
            Self::Membership => "membership",
        }
    }

    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Reversal => "reversal",
            Self::Credential => "revocation",
            _ => "statement",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) id: RecordId,
    pub(super) parties: [usize; 2],
    pub(super) what: What,
    /// The record that it is about.
    pub(super) subject: RecordId,
    /// Who neither mediates nor judges beside the parties: who has said what it is about, and whose credential that is.
    pub(super) apart: BTreeSet<usize>,
    /// Whose credential it is about, where that is no party.
    pub(super) holder: Option<usize>,
    pub(super) amount: i128,
    pub(super) filed: i64,
    /// Whether what was paid is asked back.
    pub(super) back: bool,
    pub(super) stage: Stage,
    pub(super) due: i64,
    pub(super) mediator: Option<usize>,
    /// The step, and how much it gives back; none: upheld.
    pub(super) proposal: Option<(RecordId, Option<i128>)>,
    pub(super) accepted: Option<usize>,
    pub(super) jurors: BTreeSet<usize>,
    pub(super) recused: BTreeSet<usize>,
    pub(super) juries: u32,
    pub(super) vote: Option<RecordId>,
    /// Who has voted, how often, and the last number: a share, or 1 for yes and 0 for no; none: an abstention.
    pub(super) ballots: BTreeMap<usize, (u32, Option<i64>)>,
    /// How it ended, and how much was given back.
    pub(super) ended: Option<(&'static str, Option<i128>)>,
    /// Whether the complainant is right.
    pub(super) upheld: bool,
    /// Whether the payee had not got what was to be given back.
    pub(super) unexecuted: bool,
}

/// The simple community.
pub(super) struct Model {
    pub(super) balances: [i128; PEOPLE],
    pub(super) cases: Vec<Case>,
    /// How many credentials were said.
    pub(super) said: u32,
    pub(super) seen: BTreeMap<&'static str, u32>,
}

impl Model {
    pub(super) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub(super) fn end(&mut self, nth: usize, how: &'static str, back: Option<i128>, upheld: bool) {
        let case = &mut self.cases[nth];
        (case.stage, case.ended, case.upheld) = (Stage::Resolved, Some((how, back)), upheld);
        let ([payer, payee], back) = (case.parties, back.unwrap_or(0));
        case.unexecuted = back > 0 && self.balances[payee] - back < -LIMIT;
        let revoked = case.what == What::Credential && upheld;
        if case.unexecuted {
            self.saw("unexecuted");
        } else {
            self.balances[payer] += back;
            self.balances[payee] -= back;
        }
        self.saw(how);
        if revoked {
            self.saw("revoked");
        }
    }

    /// What the last ballots come to: none where the jury is hung; how much is given back; where nothing was to be, whether it is upheld.
    pub(super) fn counted(case: &Case) -> Option<(Option<i128>, bool)> {
        if case.ballots.len() * 2 < case.jurors.len() {
            return None;
        }
        let mut numbers: Vec<i64> = case.ballots.values().filter_map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        if numbers.is_empty() {
            return None;
        }
        if case.back {
            let share = i128::from(numbers[(numbers.len() - 1) / 2]);
            let back = (case.amount * share + 9_999) / 10_000;
            return Some((Some(back), back > 0));
        }
        let yes = numbers.iter().filter(|number| **number == 1).count();
        Some((None, yes * 2 > numbers.len()))
    }
}

fn account(people: &[Person], account: &Value) -> usize {
    people.iter().position(|one| json!(one.account) == *account).unwrap()
}

/// Waits until the hub is where the model is, and takes over whom it has drawn.
pub(super) async fn same(hub: &TestHub, people: &[Person], case: &mut Case) {
    let token = people[case.parties[0]].sign_in(hub).await;
    let path = format!("/v1/grievances/{}", case.id);
    let there = async {
        loop {
            let seen = hub.get_as(&token, &path).await.body;
            if seen["state"] == json!(case.stage.name()) && seen["juries"] == json!(case.juries) {
                return seen;
            }
            hub.look();
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(60), there).await;
    let seen = seen.unwrap_or_else(|_| panic!("the hub never came to {case:?}"));
    let jurors: BTreeSet<usize> =
        seen["jurors"].as_array().unwrap().iter().map(|one| account(people, one)).collect();
    let mut out: BTreeSet<usize> = case.parties.into_iter().chain(case.mediator).collect();
    out.extend(case.recused.union(&case.apart));
    if case.stage == Stage::Escalated {
        assert!(out.is_disjoint(&jurors), "{jurors:?} {case:?}");
        assert_eq!(jurors.len(), JURY.min(PEOPLE - out.len()), "{case:?}");
        case.jurors = jurors;
    } else if case.stage == Stage::Voting {
        assert_eq!(jurors, case.jurors);
        case.vote = Some(seen["vote"]["proposal"].as_str().unwrap().parse().unwrap());
    }
    if let Some((how, back)) = case.ended {
        assert_eq!(seen["resolution"]["ending"], json!(how), "{case:?}");
        let expected = if case.unexecuted { json!("below_floor") } else { Value::Null };
        assert_eq!(seen["resolution"]["unexecuted"]["rule"], expected);
        let outcome = &seen["resolution"]["outcome"];
        match (how, case.back, back) {
            ("withdrawn" | "undecided", ..) => assert_eq!(*outcome, Value::Null),
            (_, true, Some(0)) => assert_eq!(*outcome, json!("rejected")),
            (_, false, None) => assert_eq!(*outcome, json!(if case.upheld { "upheld" } else { "rejected" })),
            (_, true, Some(back)) if back == case.amount => assert_eq!(*outcome, json!("void_transaction")),
            (_, true, Some(back)) => {
                assert_eq!(outcome["partial_adjustment"]["amount"], json!(back.to_string()))
            }
            other => panic!("{other:?} {case:?}"),
        }
        if case.what == What::Credential {
            let seen = hub.get(&format!("/v1/credentials/{}", case.subject)).await.body;
            assert_eq!(seen["revoked"].is_string(), case.upheld, "{case:?} {seen}");
        }
    }
}
