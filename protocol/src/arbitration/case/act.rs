//! Opening, drawing, ballots and the appeal.

use alloy::primitives::B256;

use super::{
    Action, Case, Context, Handed, Jury, Moved, Panel, Stage, TARGET_AHEAD, appeal_ends_at, pool_of,
    refused_by_stage,
};
use crate::{
    arbitration::{
        ballots::{Ballots, is_share},
        jury::seed,
        pool::span,
        refusal::Refusal,
    },
    chain::Address,
    deal::{Actor, Proof, Status},
    refusal::Refused,
    terms::Terms,
    wire::feed::EventBody,
};

/// Moves a case, or says why not.
///
/// # Errors
/// The first refusal that the contract gives. `Execute` may pass on one of the escrow's.
pub fn apply(
    terms: &Terms,
    case: &Case,
    action: &Action,
    actor: Actor,
    context: &Context<'_>,
) -> Result<Moved, Refused> {
    // The opening carries no terms; everything later finds the deal by them.
    if *action != Action::Open && terms.arbiter.address != context.contract {
        return Err(Refusal::NotMyDeal.into());
    }
    if let Some(refusal) = refused_by_stage(case.stage(), action) {
        return Err(refusal.into());
    }
    let hearing = Hearing { terms, case, actor, context, now: context.deal.now };
    Ok(match action {
        Action::Open => hearing.open()?,
        Action::Draw => hearing.draw()?,
        Action::OpenSecondJury => hearing.open_second()?,
        Action::Cast { jury, seat, share, reason } => hearing.cast(*jury, *seat, *share, *reason)?,
        Action::Submit { jury, ballots } => hearing.submit(*jury, ballots)?,
        Action::Conclude => hearing.conclude()?,
        Action::Appeal => hearing.appeal()?,
        Action::Execute => return hearing.execute(),
    })
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Pools(refusal)
    }
}

/// A case in hand.
pub(super) struct Hearing<'a> {
    pub terms: &'a Terms,
    pub case: &'a Case,
    pub actor: Actor,
    pub context: &'a Context<'a>,
    pub now: u64,
}

impl Hearing<'_> {
    pub fn deal(&self) -> B256 {
        self.context.deal.deal
    }

    pub fn escrow(&self) -> Address {
        self.terms.escrow.address
    }

    pub fn last(&self) -> Result<&Jury, Refusal> {
        self.case.juries.last().ok_or(Refusal::UnknownCase)
    }

    pub fn disputed(&self) -> Result<(), Refusal> {
        if self.context.state.status == Status::Disputed { Ok(()) } else { Err(Refusal::NotDisputed) }
    }

    /// The case with one more jury, to be drawn.
    fn opened(&self, instance: u8, jury: u8, panel: Option<Panel>) -> (Case, EventBody) {
        let target_block = self.context.block.saturating_add(TARGET_AHEAD);
        let mut case = self.case.clone();
        case.juries.push(Jury {
            stage: Stage::Opened,
            instance,
            jury,
            panel,
            target_block,
            seed: B256::ZERO,
            ballots: Ballots::default(),
            ruling: None,
        });
        let (deal, escrow) = (self.deal(), self.escrow());
        (case, EventBody::CaseOpened { deal, escrow, instance, jury, target_block })
    }

    fn open(&self) -> Result<Moved, Refusal> {
        self.disputed()?;
        let (mut case, event) = self.opened(0, 0, None);
        case.times = (self.context.state.funded_at, self.context.state.since);
        Ok(Moved { case, events: vec![event], ruled: None })
    }

    fn draw(&self) -> Result<Moved, Refusal> {
        let last = self.last()?;
        let (instance, panel) = match last.panel {
            Some(panel) => (last.instance, panel),
            None => self.panel()?,
        };
        let target = last.target_block;
        if self.context.block <= target {
            return Err(Refusal::TooEarly { opens_at: target.saturating_add(1) });
        }
        if self.now > panel.ends_at {
            return Err(Refusal::TooLate { closed_at: panel.ends_at });
        }
        let (deal, escrow) = (self.deal(), self.escrow());
        let mut case = self.case.clone();
        let number = case.juries.len().saturating_sub(1);
        let Some(jury) = case.juries.last_mut() else { return Err(Refusal::UnknownCase) };
        let Some(hash) = self.context.target_hash else {
            // The first multiple of the stride whose hash nobody knows yet.
            let stride = self.context.stride;
            let behind = self.context.block.saturating_add(1).saturating_sub(target);
            let passed = behind.checked_div(stride).unwrap_or_default();
            jury.target_block = target.saturating_add(passed.saturating_add(1).saturating_mul(stride));
            let event = EventBody::TargetMoved { deal, escrow, target_block: jury.target_block };
            return Ok(Moved { case, events: vec![event], ruled: None });
        };
        jury.stage = Stage::Drawn;
        (jury.instance, jury.panel) = (instance, Some(panel));
        jury.target_block = 0;
        jury.seed = seed(hash, deal, instance, jury.jury);
        let event = EventBody::JuryDrawn {
            deal,
            escrow,
            pool: pool_of(self.terms, self.context.pools, instance),
            instance,
            jury: jury.jury,
            list: panel.list,
            ends_at: panel.ends_at,
            seed: jury.seed,
            seats: case.seats(number, self.terms, self.context.pools),
        };
        Ok(Moved { case, events: vec![event], ruled: None })
    }

    /// Who hears the case first: the pool of the terms or, where that had no list when the deal was funded, its parent.
    fn panel(&self) -> Result<(u8, Panel), Refusal> {
        let pools = self.context.pools;
        let (funded_at, disputed_at) = self.case.times;
        let own = pools.pool(self.terms.panel)?;
        let (instance, pool, found) = match own.list_at(funded_at) {
            Some(found) => (0, own, found),
            None if own.book.parent.is_zero() => return Err(Refusal::NoList),
            None => {
                let parent = pools.pool(own.book.parent)?;
                (1, parent, parent.list_at(funded_at).ok_or(Refusal::NoList)?)
            }
        };
        let (list, members) = found;
        let seats = pool.book.jury_size;
        let both = usize::from(seats).saturating_mul(2);
        let appealable = instance == 0 && pools.could_seat(own.book.parent, funded_at, both);
        let time = span(&pool.book).min(self.terms.ruling.into());
        let members = u32::try_from(members.members.len()).unwrap_or(u32::MAX);
        let ends_at = disputed_at.saturating_add(time);
        Ok((instance, Panel { seats, list, members, ends_at, appealable }))
    }

    fn open_second(&self) -> Result<Moved, Refusal> {
        let last = self.last()?;
        if last.jury != 0 {
            return Err(Refusal::NoFurtherJury);
        }
        let panel = last.panel.filter(|_| last.stage == Stage::Drawn).ok_or(Refusal::NotDrawn)?;
        let first = self.case.first_closes_at(self.terms, self.context.pools).ok_or(Refusal::UnknownPool)?;
        if self.now <= first {
            return Err(Refusal::TooEarly { opens_at: first.saturating_add(1) });
        }
        if self.now > panel.ends_at {
            return Err(Refusal::TooLate { closed_at: panel.ends_at });
        }
        let (case, event) = self.opened(last.instance, 1, Some(panel));
        Ok(Moved { case, events: vec![event], ruled: None })
    }

    /// A jury whose ballots still count, with its panel and its seats.
    fn voting(&self, jury: u8) -> Result<(usize, &Jury, Vec<Address>), Refusal> {
        let (number, jury) = self.case.drawn(jury)?;
        let closed_at = jury.panel.ok_or(Refusal::NotDrawn)?.ends_at;
        if self.now > closed_at {
            return Err(Refusal::TooLate { closed_at });
        }
        Ok((number, jury, self.case.seats(number, self.terms, self.context.pools)))
    }

    fn cast(&self, jury: u8, seat: u8, share: u16, reason: B256) -> Result<Moved, Refusal> {
        let (number, heard, seats) = self.voting(jury)?;
        let of_seat = u64::from(seat);
        let juror = seats.get(usize::from(seat)).ok_or(Refusal::BadSeat { seat: of_seat })?;
        if self.actor.caller() != *juror {
            return Err(Refusal::NotJuror { seat: of_seat });
        }
        let size = u8::try_from(seats.len()).unwrap_or(u8::MAX);
        let ballots = heard.ballots.with_cast(seat, share, size)?;
        let (deal, escrow) = (self.deal(), self.escrow());
        let event =
            EventBody::BallotCast { deal, escrow, instance: heard.instance, jury, seat, share, reason };
        self.count(number, ballots, vec![event])
    }

    fn submit(&self, jury: u8, handed: &[Handed]) -> Result<Moved, Refusal> {
        let (number, heard, seats) = self.voting(jury)?;
        let size = u8::try_from(seats.len()).unwrap_or(u8::MAX);
        let mut ballots = heard.ballots;
        for Handed { seat, share, signer } in handed {
            let of_seat = u64::from(*seat);
            let juror = seats.get(usize::from(*seat)).ok_or(Refusal::BadSeat { seat: of_seat })?;
            if *signer != Some(*juror) {
                return Err(Refusal::InvalidBallot { seat: of_seat });
            }
            if !is_share(*share) {
                return Err(Refusal::BadShare { share: (*share).into() });
            }
            ballots = ballots.with_signed(*seat, *share, size)?;
        }
        if ballots == heard.ballots {
            return Err(Refusal::NoBallots);
        }
        self.count(number, ballots, Vec::new())
    }

    fn appeal(&self) -> Result<Moved, Refusal> {
        let pools = self.context.pools;
        let until = self.case.appeal_until(self.terms, pools).ok_or(Refusal::NotAppealable)?;
        self.disputed()?;
        if self.now > until {
            return Err(Refusal::TooLate { closed_at: until });
        }
        self.check_party()?;
        let id = pools.pool(self.terms.panel)?.book.parent;
        let parent = pools.pool(id)?;
        let (list, members) = parent.list_at(self.context.state.funded_at).ok_or(Refusal::NoList)?;
        let panel = Panel {
            seats: parent.book.jury_size,
            list,
            members: u32::try_from(members.members.len()).unwrap_or(u32::MAX),
            ends_at: appeal_ends_at(until, &parent.book),
            appealable: false,
        };
        let (case, opened) = self.opened(1, 0, Some(panel));
        let appealed =
            EventBody::Appealed { deal: self.deal(), escrow: self.escrow(), by: self.actor.account() };
        Ok(Moved { case, events: vec![appealed, opened], ruled: None })
    }

    fn check_party(&self) -> Result<(), Refusal> {
        if let Actor::Bearer { valid_until, .. } = self.actor
            && self.now > valid_until
        {
            return Err(Refusal::SignatureExpired { valid_until });
        }
        let party = self.actor.account();
        if party != self.terms.buyer.address && party != self.terms.seller.address {
            return Err(Refusal::NotParty);
        }
        match self.actor {
            // The pools know no revocation: an appeal that was signed stands until its time is over.
            Actor::Bearer { proof: Proof::Invalid, .. } => Err(Refusal::InvalidSignature { signer: party }),
            _ => Ok(()),
        }
    }
}
