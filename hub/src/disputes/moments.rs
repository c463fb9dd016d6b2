//! What comes next in a case and when: from chain facts alone, whoever poked when.

use protocol::{
    arbitration::{jury_time, span},
    wire::feed::RuleBook,
};
use serde::{Deserialize, Serialize};

use super::case::{Case, Jury, Stage};

/// What the hub asks for when its moment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Open the case.
    OpenCase,
    /// Draw the last jury.
    DrawJury,
    /// Hand in the ballots of a jury.
    SubmitBallots,
    /// Open the second jury of the instance.
    OpenSecondJury,
    /// Speak the last word of the instance.
    Conclude,
    /// Tell the escrow the ruling.
    ExecuteRuling,
}

impl What {
    const ALL: [Self; 6] = [
        Self::OpenCase,
        Self::DrawJury,
        Self::SubmitBallots,
        Self::OpenSecondJury,
        Self::Conclude,
        Self::ExecuteRuling,
    ];

    /// The name in JSON and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenCase => "open_case",
            Self::DrawJury => "draw_jury",
            Self::SubmitBallots => "submit_ballots",
            Self::OpenSecondJury => "open_second_jury",
            Self::Conclude => "conclude",
            Self::ExecuteRuling => "execute_ruling",
        }
    }
}

impl std::str::FromStr for What {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|what| what.name() == name)
            .ok_or_else(|| format!("no moment is for {name}"))
    }
}

/// Something to be done, from a second on and until another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What.
    pub what: What,
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 or 1 of that instance.
    pub jury: u8,
    /// Unix seconds.
    pub from: u64,
    /// Unix seconds; the chain takes it no later.
    pub until: u64,
}

/// The rule books of a case and the end of its time.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Of the pool of the terms.
    pub book: &'a RuleBook,
    /// Of its parent.
    pub parent: Option<&'a RuleBook>,
    /// The terms' `ruling`, in seconds after the dispute.
    pub ruling: u32,
}

/// What is known of a jury's ballots, on chain and here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// At least one seat has voted.
    pub any: bool,
    /// Every seat has.
    pub all: bool,
    /// The ballots determine a ruling.
    pub determined: bool,
}

/// The longest time that is kept for handing in a second jury's ballots, in seconds.
const HAND_IN_MAX: u64 = 3_600;

impl Rules<'_> {
    fn book(&self, instance: u8) -> Option<&RuleBook> {
        if instance == 0 { Some(self.book) } else { self.parent }
    }

    /// The last second in which the escrow takes a ruling.
    pub fn deadline(&self, case: &Case) -> u64 {
        case.disputed_at.saturating_add(self.ruling.into())
    }

    /// The last second in which ballots of a jury's instance count; none when the rules of its pool are not known.
    pub fn ends_at(&self, case: &Case, jury: &Jury) -> Option<u64> {
        let drawn = |one: &Jury| one.ends_at.filter(|_| one.instance == jury.instance);
        if let Some(known) = case.juries.iter().find_map(drawn) {
            return Some(known);
        }
        let span = span(self.book(jury.instance)?);
        let appealed = case.rulings.first().filter(|ruling| ruling.instance < jury.instance);
        // An appeal's instance begins when the time for appeal is over, and its end was held to the terms before.
        Some(match appealed.and_then(|ruling| ruling.appeal_until()) {
            Some(began) => began.saturating_add(span),
            None => case.disputed_at.saturating_add(span).min(self.deadline(case)),
        })
    }

    /// When the ballots of a jury that has not voted as a whole are shown and handed in. That is the end of the first jury's
    /// voting. The second one's ends with the instance, after which the chain counts nothing, so a tenth of the voting (at
    /// most an hour) is kept for handing in. A ballot that comes later is handed in at once.
    pub fn closes_at(&self, case: &Case, jury: &Jury) -> Option<u64> {
        let (ends, book) = (self.ends_at(case, jury)?, self.book(jury.instance)?);
        let before = if jury.jury == 0 {
            jury_time(book)
        } else {
            u64::from(book.voting).div_euclid(10).min(HAND_IN_MAX)
        };
        Some(ends.saturating_sub(before))
    }

    /// Whether the ballots of a jury may be shown: every seat has voted, its instance has ruled, or voting has closed.
    pub fn revealed(&self, case: &Case, jury: &Jury, heard: Heard, now: u64) -> bool {
        let ruled = case.rulings.iter().any(|ruling| ruling.instance == jury.instance);
        heard.all || ruled || self.closes_at(case, jury).is_some_and(|closes| now > closes)
    }

    /// What is to be done in the case. `heard` is about its juries, in their order.
    pub fn moments(&self, case: &Case, heard: &[Heard]) -> Vec<Moment> {
        let deadline = self.deadline(case);
        let Some(last) = case.juries.last() else {
            let open = Moment { what: What::OpenCase, instance: 0, jury: 0, from: 0, until: deadline };
            return if case.stage == Stage::Disputed { vec![open] } else { Vec::new() };
        };
        let of = |what, jury: u8, from, until| Moment { what, instance: last.instance, jury, from, until };
        if let Stage::Accepted = case.stage {
            let at = case.ruling().and_then(|ruling| ruling.executable_at).unwrap_or(0);
            return vec![of(What::ExecuteRuling, 0, at, deadline)];
        }
        if !matches!(case.stage, Stage::Opened | Stage::Drawn | Stage::Widened) {
            return Vec::new();
        }
        let Some(ends) = self.ends_at(case, last) else { return Vec::new() };
        let mut moments = Vec::new();
        if last.seed.is_none() {
            moments.push(of(What::DrawJury, last.jury, 0, ends));
        }
        let present = || case.juries.iter().zip(heard).filter(|(one, _)| one.instance == last.instance);
        for (jury, heard) in present().filter(|(one, heard)| one.seed.is_some() && heard.any) {
            let closed = self.closes_at(case, jury).map_or(ends, |closes| closes.saturating_add(1));
            moments.push(of(What::SubmitBallots, jury.jury, if heard.all { 0 } else { closed }, ends));
        }
        if case.stage == Stage::Drawn && last.jury == 0 {
            moments.extend(self.second_jury(case, last, present().any(|(_, heard)| heard.determined)));
        }
        // Without any ballot there is a last word in an appeal alone, and none before a first jury is drawn from a list.
        let appealed = !case.rulings.is_empty();
        if appealed || present().any(|(_, heard)| heard.any) {
            moments.push(of(What::Conclude, 0, ends.saturating_add(1), deadline));
        }
        moments
    }

    /// Where the ballots at hand determine a ruling already, half the time for opening is left to hand them in first.
    fn second_jury(&self, case: &Case, first: &Jury, determined: bool) -> Option<Moment> {
        let (ends, book) = (self.ends_at(case, first)?, self.book(first.instance)?);
        let over = self.closes_at(case, first)?.saturating_add(1);
        let patience = if determined { u64::from(book.opening).div_euclid(2) } else { 0 };
        Some(Moment {
            what: What::OpenSecondJury,
            instance: first.instance,
            jury: 1,
            from: over.saturating_add(patience),
            until: ends,
        })
    }
}
