//! Histories of one case: juries, second juries, last words and appeals.

use alloy::{
    primitives::{Address, B256, Bytes, Log, U256, aliases::U40},
    sol_types::SolCall,
};
use protocol::{
    arbitration::{
        self, Ballots, Vote,
        case::{Action, Case, Context, Handed, Jury, Moved, Stage},
    },
    deal::{self, Actor, DealState, Payee, Proof, Status},
    evm::{
        Refused, appeal_digest, ballot_digest, call,
        call::Signed,
        case_id, decode_event, decode_refusal,
        pools::ArbitrationPools::{self, caseOfCall, juryOfCall, rulingsCall},
    },
    terms::Terms,
    wire::{feed::EventBody, intent::SignedBallot},
};

use crate::{
    court::{self, Court},
    deals::same,
    dice::Dice,
    ground::{Call, Ground},
    history::{Difference, History, Report, Tally},
    world::{Who, World, address},
};

/// The rule under test: [`arbitration::case::apply`], or a wrong one.
pub type Model<'a> = &'a dyn Fn(&Terms, &Case, &Action, Actor, &Context<'_>) -> Result<Moved, Refused>;

/// Only these, so that juries often agree and often do not.
const SHARES: [u16; 5] = [5_000, 0, 500, 10_000, 4_500];

/// No instance of these histories takes longer, in seconds.
const LONGEST_SPAN: u64 = 320;
/// How many attempts are made once nothing can come of them any more.
const AFTERWARDS: u32 = 4;

struct Run<'a, G> {
    world: &'a mut World<G>,
    court: Court,
    case: Case,
    model: Model<'a>,
    forgotten: bool,
    tally: Tally,
}

/// An attempt in the model's words and as calldata.
struct Attempt {
    action: Action,
    actor: Actor,
    calldata: Bytes,
}

/// Puts model and contract through a history.
///
/// # Errors
/// The first step after which they differ.
pub fn compare<G: Ground>(
    world: &mut World<G>,
    history: &History,
    model: Model<'_>,
) -> Result<Report, Difference> {
    let court = court::any(world, &mut Dice::new(&history.setting))?;
    let mut run =
        Run { world, court, case: Case::default(), model, forgotten: false, tally: Tally::default() };
    let (mut steps, mut afterwards) = (0, 0);
    for (step, numbers) in history.steps.iter().enumerate() {
        let mut dice = Dice::new(numbers);
        let told = if dice.once_in(40) { run.concede(&mut dice) } else { run.step(&mut dice) };
        told.and_then(|()| run.check()).map_err(|difference| format!("step {step}: {difference}"))?;
        steps += 1;
        afterwards += u32::from(run.is_over());
        if afterwards > AFTERWARDS {
            break;
        }
    }
    Ok(Report { steps, tally: run.tally })
}

/// Refusals that both contracts have under one selector read as the escrow's.
fn as_told(refused: Refused) -> Refused {
    use arbitration::Refusal as R;
    Refused::Escrow(match refused {
        Refused::Pools(R::NotDisputed) => deal::Refusal::NotDisputed,
        Refused::Pools(R::TooEarly { opens_at }) => deal::Refusal::TooEarly { opens_at },
        Refused::Pools(R::TooLate { closed_at }) => deal::Refusal::TooLate { closed_at },
        Refused::Pools(R::SignatureExpired { valid_until }) => {
            deal::Refusal::SignatureExpired { valid_until }
        }
        Refused::Pools(R::NotParty) => deal::Refusal::NotParty,
        Refused::Pools(R::InvalidSignature { signer }) => deal::Refusal::InvalidSignature { signer },
        other => return other,
    })
}

impl<G: Ground> Run<'_, G> {
    /// The escrow takes no ruling any more, or nobody can ever hear or conclude the case.
    fn is_over(&self) -> bool {
        let (terms, state) = (&self.court.terms, &self.court.state);
        let now = self.world.ground.now();
        let silent = self.case.juries.iter().all(|jury| jury.ballots == Ballots::default());
        let ends_at = self.case.juries.last().and_then(|last| last.panel).map(|panel| panel.ends_at);
        state.status != Status::Disputed
            || now > state.since + u64::from(terms.ruling)
            || self.case.rulings() == 0 && silent && ends_at.is_some_and(|end| now > end)
            || ends_at.is_none() && (self.court.has_no_list() || now > state.since + LONGEST_SPAN)
    }

    /// The time of the next attempt: soon, or at an end of a phase.
    fn later(&self, dice: &mut Dice<'_>) -> u64 {
        let (terms, registry) = (&self.court.terms, &self.court.registry);
        let soonest = self.world.ground.now() + 1;
        let ends = [
            self.case.first_closes_at(terms, registry),
            self.case.juries.last().and_then(|last| last.panel).map(|panel| panel.ends_at),
            self.case.appeal_until(terms, registry),
            Some(self.court.state.since + u64::from(terms.ruling)).filter(|_| dice.once_in(6)),
        ];
        let ahead: Vec<u64> = ends
            .into_iter()
            .flatten()
            .flat_map(|end| [end, end + 1])
            .filter(|time| *time >= soonest)
            .collect();
        let jumps = match self.case.stage() {
            Some(Stage::Drawn) => dice.once_in(7),
            Some(Stage::Accepted) => dice.once_in(3),
            _ => dice.once_in(25),
        };
        if jumps && !ahead.is_empty() { dice.of(&ahead) } else { soonest + dice.below(3) }
    }

    fn mine(&mut self, dice: &mut Dice<'_>) {
        let blocks = if dice.once_in(30) { 250 + dice.below(400) } else { dice.below(3) };
        if blocks != 0 {
            self.world.ground.mine(blocks);
        }
    }

    fn step(&mut self, dice: &mut Dice<'_>) -> Result<(), Difference> {
        self.mine(dice);
        let now = self.later(dice);
        let mut terms = self.court.terms.clone();
        if dice.once_in(60) {
            terms.arbiter.address = address(Who::Stranger);
        }
        let attempt = self.attempt(dice, &terms, now);
        let target = self.case.juries.last().map_or(0, |last| last.target_block);
        let context = Context {
            contract: self.world.pools.address,
            deal: self.world.context(&terms, self.court.deal, self.case.rulings(), now),
            state: &self.court.state,
            block: self.world.ground.height() + 1,
            target_hash: self.world.ground.hash(target),
            pools: &self.court.registry,
        };
        let model = (self.model)(&terms, &self.case, &attempt.action, attempt.actor, &context);
        let (from, to) = (attempt.actor.caller(), self.world.pools.address);
        let told = self.world.ground.send(Call { from, to, data: attempt.calldata, value: U256::ZERO }, now);
        let label = format!("{:?} by {:?} at {now} in {:?}", attempt.action, attempt.actor, self.case);
        match (model, told) {
            (Ok(moved), Ok(logs)) => self.take(&label, moved, &logs, now),
            (Err(refused), Err(data)) => {
                self.tally.count(refused.name());
                same(&label, "refusal", &Some(as_told(refused)), &decode_refusal(&data))
            }
            (model, told) => Err(format!("{label}: the model says {model:?}, the contract {told:?}")),
        }
    }

    fn take(&mut self, label: &str, moved: Moved, logs: &[Log], now: u64) -> Result<(), Difference> {
        let from = |at: Address| -> Vec<EventBody> {
            let own = logs.iter().filter(|log| log.address == at);
            own.map(|log| decode_event(self.world.escrow, log).unwrap()).collect()
        };
        same(label, "events", &moved.events, &from(self.world.pools.address))?;
        let mut escrows = Vec::new();
        if let Some(ruled) = &moved.ruled {
            escrows.push(ruled.event.clone());
            let credited = ruled.payouts.iter().filter(|payout| payout.credited);
            escrows.extend(credited.map(|payout| EventBody::Credited {
                deal: self.court.deal,
                creditor: match payout.to {
                    Payee::Buyer => self.court.terms.buyer.address,
                    Payee::Seller => self.court.terms.seller.address,
                },
                asset: Address::ZERO,
                amount: payout.amount,
            }));
        }
        same(label, "the escrow's events", &escrows, &from(self.world.escrow.address))?;
        for event in &moved.events {
            self.tally.count(event.name());
            match event {
                EventBody::JuryDrawn { instance, jury, .. } => {
                    self.tally.count(format!("jury {instance}/{jury}"));
                    if *instance == 1 && self.case.juries.len() == 1 {
                        self.tally.count("straight to the parent");
                    }
                }
                EventBody::RulingAccepted { instance, .. } if now > self.last().panel.unwrap().ends_at => {
                    self.tally.count(format!("last word {instance}"));
                }
                EventBody::RulingAccepted { instance, jury, .. } if *jury < self.last().jury => {
                    self.tally.count(format!("the first jury after the second, {instance}"));
                }
                _ => {}
            }
        }
        self.case = moved.case;
        if let Some(ruled) = moved.ruled {
            self.closed(ruled.state, now);
        }
        Ok(())
    }

    fn closed(&mut self, state: DealState, now: u64) {
        self.forgotten = state.status == Status::Closed && now > self.court.terms.fund_by;
        self.court.state = state;
    }

    fn last(&self) -> &Jury {
        self.case.juries.last().unwrap()
    }

    /// Now and then the deal ends without a ruling.
    fn concede(&mut self, dice: &mut Dice<'_>) -> Result<(), Difference> {
        let now = self.later(dice);
        let terms = self.court.terms.clone();
        let total = terms.amount;
        let (action, by, data) = match dice.below(3) {
            0 => (deal::Action::Refund { total }, terms.seller.address, call::refund(&terms, total, None)),
            1 => (deal::Action::Release { total: 1 }, terms.buyer.address, call::release(&terms, 1, None)),
            _ => (deal::Action::Lapse, address(Who::Stranger), call::lapse(&terms)),
        };
        let context = self.world.context(&terms, self.court.deal, self.case.rulings(), now);
        let model = deal::apply(&terms, &self.court.state, &action, Actor::Caller(by), &context);
        let call = Call { from: by, to: terms.escrow.address, data: data.unwrap(), value: U256::ZERO };
        let told = self.world.ground.send(call, now);
        match (model, told) {
            (Ok(moved), Ok(_)) => {
                self.closed(moved.state, now);
                Ok(())
            }
            (Err(_), Err(_)) => Ok(()),
            (model, told) => Err(format!("{action:?}: the model says {model:?}, the contract {told:?}")),
        }
    }

    fn attempt(&mut self, dice: &mut Dice<'_>, terms: &Terms, now: u64) -> Attempt {
        // What moves the case where it stands, in the order of a case's life.
        let likely: &[u64] = match self.case.stage() {
            None => &[0],
            Some(Stage::Opened) if self.case.drawn(0).is_ok() => &[1, 4, 3, 5],
            Some(Stage::Opened) => &[1],
            Some(Stage::Drawn) => &[4, 3, 4, 2, 5, 2],
            Some(Stage::Accepted) => &[6, 7, 6],
            Some(Stage::Executed) => &[0, 1, 2, 3, 4, 5, 6, 7],
        };
        let kind = if dice.once_in(7) { dice.below(8) } else { dice.of(likely) };
        let anyone = Actor::Caller(address(dice.of(&[Who::Stranger, Who::Buyer])));
        let plain = |action, calldata: Result<Bytes, _>| Attempt {
            action,
            actor: anyone,
            calldata: calldata.unwrap(),
        };
        match kind {
            0 => plain(Action::Open, call::open(&self.court.terms)),
            1 => plain(Action::Draw, call::draw(terms)),
            2 => plain(Action::OpenSecondJury, call::open_second_jury(terms)),
            3 => self.cast(dice, terms),
            4 => self.submit(dice, terms, anyone),
            5 => plain(Action::Conclude, call::conclude(terms)),
            6 => self.appeal(dice, terms, now),
            _ => plain(Action::Execute, call::execute(terms)),
        }
    }

    /// A jury of the present instance, mostly the last one, with its seats.
    fn jury(&self, dice: &mut Dice<'_>) -> (u8, Vec<Address>, Ballots) {
        let last = self.case.juries.last().map_or(0, |last| last.jury);
        let jury = dice.of(&[last, 0, last, 1]);
        let Ok((number, heard)) = self.case.drawn(jury) else {
            return (jury, Vec::new(), Ballots::default());
        };
        (jury, self.case.seats(number, &self.court.terms, &self.court.registry), heard.ballots)
    }

    /// A seat, mostly one that has not voted; rarely none of the jury's.
    fn seat(dice: &mut Dice<'_>, seats: &[Address], ballots: Ballots) -> u8 {
        let size = u8::try_from(seats.len()).unwrap();
        let open: Vec<u8> = (0..size).filter(|seat| ballots.vote(*seat) == Vote::Missing).collect();
        if dice.once_in(25) || seats.is_empty() {
            size + dice.of(&[0, 1, 200])
        } else if !open.is_empty() && !dice.once_in(3) {
            dice.of(&open)
        } else {
            u8::try_from(dice.below(size.into())).unwrap()
        }
    }

    fn share(dice: &mut Dice<'_>) -> u16 {
        if dice.once_in(25) { dice.of(&[4_501, 10_500, 1, u16::MAX]) } else { dice.of(&SHARES) }
    }

    fn cast(&self, dice: &mut Dice<'_>, terms: &Terms) -> Attempt {
        let (jury, seats, ballots) = self.jury(dice);
        let seat = Self::seat(dice, &seats, ballots);
        let juror = seats.get(usize::from(seat)).copied().filter(|_| !dice.once_in(10));
        let (share, reason) = (Self::share(dice), B256::with_last_byte(dice.byte()));
        Attempt {
            action: Action::Cast { jury, seat, share, reason },
            actor: Actor::Caller(juror.unwrap_or_else(|| address(Who::Stranger))),
            calldata: call::cast(terms, jury, seat, share, reason).unwrap(),
        }
    }

    fn submit(&self, dice: &mut Dice<'_>, terms: &Terms, actor: Actor) -> Attempt {
        let (jury, seats, ballots) = self.jury(dice);
        let count = if dice.once_in(15) { 0 } else { 1 + dice.below(3) };
        let (handed, signed): (Vec<_>, Vec<_>) =
            (0..count).map(|_| self.ballot(dice, jury, &seats, ballots)).unzip();
        Attempt {
            action: Action::Submit { jury, ballots: handed },
            actor,
            calldata: call::submit(terms, jury, &signed).unwrap(),
        }
    }

    fn ballot(
        &self,
        dice: &mut Dice<'_>,
        jury: u8,
        seats: &[Address],
        ballots: Ballots,
    ) -> (Handed, SignedBallot) {
        let seat = Self::seat(dice, seats, ballots);
        let (share, reason) = (Self::share(dice), B256::with_last_byte(dice.byte()));
        let (instance, seed) =
            self.case.drawn(jury).map_or((0, B256::ZERO), |(_, heard)| (heard.instance, heard.seed));
        let own = self.court.terms.panel;
        let pool = if instance == 0 { own } else { self.court.registry.0[&own].book.parent };
        let case = case_id(pool, self.court.terms.escrow.address, self.court.deal, instance, jury, seed);
        let juror = seats.get(usize::from(seat)).copied().filter(|_| !dice.once_in(20));
        let signer = juror.unwrap_or_else(|| address(Who::Forger));
        // Now and then it is for another share, and then no key that we know signed what is handed in.
        let other = dice.once_in(30);
        let signed = if other { share ^ 1 } else { share };
        let (_, signature) =
            self.world.sign(signer, ballot_digest(self.world.pools, case, signed, reason), true);
        let signer = Some(signer).filter(|_| !other);
        (Handed { seat, share, signer }, SignedBallot { seat, share, reason, signature })
    }

    fn appeal(&self, dice: &mut Dice<'_>, terms: &Terms, now: u64) -> Attempt {
        let parties = [terms.seller.address, terms.buyer.address];
        let party = if dice.once_in(5) { address(Who::Stranger) } else { dice.of(&parties) };
        if dice.once_in(3) {
            let calldata = call::appeal(terms, None).unwrap();
            return Attempt { action: Action::Appeal, actor: Actor::Caller(party), calldata };
        }
        let valid_until = if dice.once_in(5) { now - 1 } else { now + dice.below(20) };
        let digest = appeal_digest(self.world.pools, self.court.deal, valid_until).unwrap();
        let (proof, signature) = self.world.sign(party, digest, !dice.once_in(4));
        // The pools know no revocation, and nobody has taken such a signature back at the escrow.
        assert!(matches!(proof, Proof::Valid | Proof::Invalid));
        let caller = address(Who::Stranger);
        let calldata = call::appeal(terms, Some(&Signed { signer: party, valid_until, signature })).unwrap();
        Attempt {
            action: Action::Appeal,
            actor: Actor::Bearer { caller, signer: party, proof, valid_until },
            calldata,
        }
    }

    /// What both contracts keep.
    fn check(&mut self) -> Result<(), Difference> {
        let (escrow, deal, pools) =
            (self.court.terms.escrow.address, self.court.deal, self.world.pools.address);
        let kept = if self.forgotten { DealState::EMPTY } else { self.court.state };
        same("afterwards", "the deal", &kept, &self.world.state_of(deal))?;
        let expected: Vec<_> = self.case.juries.iter().map(as_kept).collect();
        same("afterwards", "the case", &expected, &self.world.ask(pools, &caseOfCall { escrow, deal }))?;
        let rulings = self.world.ask(pools, &rulingsCall { escrow, deal });
        same("afterwards", "rulings", &self.case.rulings(), &rulings)?;
        for jury in [0, 1] {
            let Ok((number, _)) = self.case.drawn(jury) else { continue };
            let seats = self.case.seats(number, &self.court.terms, &self.court.registry);
            let told = self.world.ground.read(pools, call::jury_of(&self.court.terms, jury).unwrap().into());
            let told = juryOfCall::abi_decode_returns_validate(&told).unwrap();
            same("afterwards", "the seats", &seats, &told)?;
        }
        Ok(())
    }
}

/// The contract's record of a jury.
fn as_kept(jury: &Jury) -> ArbitrationPools::Jury {
    let panel = jury.panel;
    let (share, accepted_at) = jury.ruling.unwrap_or_default();
    ArbitrationPools::Jury {
        stage: jury.stage as u8,
        instance: jury.instance,
        jury: jury.jury,
        seats: panel.map_or(0, |panel| panel.seats),
        appealable: panel.is_some_and(|panel| panel.appealable),
        list: panel.map_or(0, |panel| panel.list),
        members: panel.map_or(0, |panel| panel.members),
        endsAt: U40::from(panel.map_or(0, |panel| panel.ends_at)),
        targetBlock: U40::from(jury.target_block),
        acceptedAt: U40::from(accepted_at),
        share,
        seed: jury.seed,
        ballots: jury.ballots.0,
    }
}
