//! A trade with everybody who has a part in it, and the steps that bring it to where a test wants it.
//!
//! Every trade keeps to the same seconds after [`START`], so that several on one machine stand at the same point.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, AssetId},
    solana::{
        self, Line, Pubkey,
        call::{self, Ballot, Bearer, Case, Funding, Hearing, InEffect, Voting, Word},
        from_key,
        state::{List, RuleBook, list::LARGEST_LIST},
    },
    terms::Terms,
};
use solana_sdk::signature::{Keypair, Signer};

use crate::{ENDOWMENT, Svm, key, keypair};

/// When pools and their lists are made.
pub const START: u64 = 1_800_000_000;
/// When deals are funded.
pub const FUNDED: u64 = START + 10;
/// When they are delivered or disputed.
pub const MOVED: u64 = START + 20;
/// The seller's word on the terms holds until then.
pub const FUND_BY: u64 = START + 100;
/// Delivery is due until then.
pub const DELIVER_BY: u64 = START + 1_000;
/// Seconds for inspection.
pub const INSPECTION: u32 = 500;
/// Seconds for the arbiter: enough for an appeal.
pub const RULING: u32 = 20 * 86_400;
/// Seconds for opening and drawing a jury.
pub const OPENING: u32 = 100;
/// Seconds of voting.
pub const VOTING: u32 = 900;
/// Seconds in which a ruling can be appealed.
pub const APPEAL: u32 = 700;
/// Of every deal.
pub const AMOUNT: u64 = 1_000_000_000;

/// What kind of trade.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Tells the trades of a machine apart.
    pub number: u64,
    /// The program of the token; none for SOL.
    pub token: Option<Pubkey>,
    /// Whether the pool has a parent, with juries of the same size.
    pub parent: bool,
    /// Seats of a jury.
    pub seats: u8,
    /// Members of each list; zero: as few as a pool with these juries, or an appeal, needs.
    pub members: u32,
    /// A payment channel.
    pub metered: bool,
    /// Whether the pools of the program rule, or a wallet.
    pub pools: bool,
    /// Tells equal deals apart.
    pub salt: u64,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            number: 1,
            token: None,
            parent: false,
            seats: 3,
            members: 0,
            metered: false,
            pools: true,
            salt: 0,
        }
    }
}

/// A trade.
pub struct Trade {
    pub setting: Setting,
    pub buyer: Keypair,
    pub seller: Keypair,
    /// Pays for others.
    pub relayer: Keypair,
    pub keeper: Keypair,
    /// Rules where the pools do not.
    pub arbiter: Keypair,
    pub book: RuleBook,
    pub parent: Option<RuleBook>,
    pub deal: call::Deal,
    /// Ascending.
    pub members: Vec<Pubkey>,
    jurors: BTreeMap<Pubkey, u64>,
}

/// The keypair's signature of a line.
pub fn signature(of: &Keypair, line: &Line) -> [u8; 64] {
    of.sign_message(&line.bytes()).into()
}

/// The keypair's word by its signature of a line.
pub fn signs(of: &Keypair, line: &Line) -> Word {
    Word::Signature(signature(of, line))
}

/// An action that the keypair asks for by its signature.
pub fn bearer(of: &Keypair, valid_until: u64, line: &Line) -> Bearer {
    Bearer { signer: key(of), valid_until, word: signs(of, line) }
}

/// Until when what is signed in tests holds.
pub const VALID_UNTIL: u64 = START + 100 * 86_400;

impl Trade {
    /// Makes the trade's people, its mint, its pools and their lists. Nothing is funded yet.
    pub fn set(svm: &mut Svm, setting: Setting) -> Self {
        svm.set_time(START);
        let one = |role: u64| keypair(setting.number * 1_000_000 + role);
        let [buyer, seller, relayer, keeper, arbiter] = [1, 2, 3, 4, 5].map(one);
        for account in [&buyer, &seller, &relayer, &keeper, &arbiter] {
            svm.endow(&key(account), ENDOWMENT);
        }
        let mint = setting.token.map(|program| {
            let mint = svm.mint(setting.number, program);
            svm.give_tokens(&key(&buyer), &mint, program, 10 * AMOUNT);
            svm.give_tokens(&key(&seller), &mint, program, 0);
            mint
        });
        let (jurors, members) = Self::members_of(&setting);
        let book = |parent, appeal, salt| RuleBook {
            keeper: key(&keeper),
            parent,
            jury_size: setting.seats,
            delay: 0,
            opening: OPENING,
            voting: VOTING,
            appeal,
            salt: [salt; 32],
        };
        let parent = setting.parent.then(|| book([0; 32], 0, 1));
        let above = parent.as_ref().map(RuleBook::id).unwrap_or_default();
        let own = book(above, if setting.parent { APPEAL } else { 0 }, 2);
        let chain = solana::chain().unwrap();
        let account = |key: &Pubkey| AccountId { chain, address: from_key(key) };
        let terms = Terms {
            escrow: account(&solana::program()),
            buyer: account(&key(&buyer)),
            seller: account(&key(&seller)),
            arbiter: account(&if setting.pools { solana::arbiter() } else { key(&arbiter) }),
            asset: AssetId { chain, token: mint.map(|mint| from_key(&mint)) },
            amount: AMOUNT.into(),
            fund_by: FUND_BY,
            deliver_by: DELIVER_BY,
            inspection: INSPECTION,
            ruling: RULING,
            lapse_share: 5_000,
            metered: setting.metered,
            panel: own.id().into(),
            agreement: [8; 32].into(),
            salt: alloy::primitives::keccak256(setting.salt.to_le_bytes()),
        };
        let deal = call::Deal::new(&terms, setting.token.unwrap_or_default()).unwrap();
        let made = Self {
            setting,
            buyer,
            seller,
            relayer,
            keeper,
            arbiter,
            book: own,
            parent,
            deal,
            members,
            jurors,
        };
        let books: Vec<_> = made.parent.iter().chain([&made.book]).cloned().collect();
        for book in books {
            made.make_pool(svm, &book);
        }
        made
    }

    fn members_of(setting: &Setting) -> (BTreeMap<Pubkey, u64>, Vec<Pubkey>) {
        let least = u32::from(setting.seats) * if setting.parent { 4 } else { 2 } + 2;
        let count = setting.members.max(least);
        let numbered =
            (0..u64::from(count.min(200))).map(|number| setting.number * 1_000_000 + 1_000 + number);
        let jurors: BTreeMap<_, _> = numbered.map(|number| (key(&keypair(number)), number)).collect();
        // Who is never asked to sign needs no key.
        let others = (200..count)
            .map(|number| Pubkey::new_from_array(alloy::primitives::keccak256(number.to_be_bytes()).0));
        let mut members: Vec<_> = jurors.keys().copied().chain(others).collect();
        members.sort_unstable();
        (jurors, members)
    }

    fn make_pool(&self, svm: &mut Svm, book: &RuleBook) {
        let (payer, keeper) = (key(&svm.payer), key(&self.keeper));
        svm.must(&[call::create_pool(payer, book.clone())], &[]);
        let pool = B256::new(book.id());
        svm.must(&[call::create_list(keeper, pool, 0)], &[&self.keeper]);
        if self.members.len() <= 1_000 {
            let mut start = 0;
            for chunk in self.members.chunks(call::LARGEST_CHUNK) {
                svm.must(&[call::add_members(keeper, pool, 0, start, chunk.to_vec())], &[&self.keeper]);
                start += u32::try_from(chunk.len()).unwrap();
            }
        } else {
            self.write_list(svm, pool);
        }
        svm.must(&[call::publish_list(keeper, pool, 0)], &[&self.keeper]);
    }

    /// Writes the members of a long list where `add_members` would have put them in thousands of transactions.
    fn write_list(&self, svm: &mut Svm, pool: B256) {
        let address = solana::list_address(pool, 0);
        let mut account = svm.account(&address).unwrap();
        let size = u32::try_from(self.members.len()).unwrap();
        assert!(size <= LARGEST_LIST);
        let place = List::HEAD - 8 - 4;
        account.data[place..place + 4].copy_from_slice(&size.to_le_bytes());
        for member in &self.members {
            account.data.extend(member.as_ref());
        }
        account.lamports = svm.vm.minimum_balance_for_rent_exemption(account.data.len());
        svm.set_account(&address, account);
    }

    /// The deal's case.
    pub fn case(&self) -> Case<'_> {
        Case(&self.deal)
    }

    /// The id of the pool.
    pub fn pool(&self) -> B256 {
        B256::new(self.book.id())
    }

    /// How the buyer funds, with the seller's signature.
    pub fn funding(&self) -> Funding {
        let seller = Some(signs(&self.seller, &Line::terms(self.deal.id)));
        Funding { payer: key(&self.buyer), buyer: None, seller, source: None }
    }

    /// Funds, by the buyer with the seller's signature.
    pub fn fund(&self, svm: &mut Svm) {
        svm.set_time(FUNDED);
        svm.must(&self.deal.fund(&self.funding(), 0), &[&self.buyer]);
    }

    /// Funds, and the seller delivers.
    pub fn deliver(&self, svm: &mut Svm) {
        self.fund(svm);
        svm.set_time(MOVED);
        svm.must(&self.deal.deliver(key(&self.seller), [2; 32].into(), None, 0), &[&self.seller]);
    }

    /// Funds, and the buyer disputes.
    pub fn dispute(&self, svm: &mut Svm) {
        self.fund(svm);
        svm.set_time(MOVED);
        svm.must(&self.deal.dispute(key(&self.buyer), [1; 32].into(), None, 0), &[&self.buyer]);
    }

    /// Disputes, and anyone opens the case.
    pub fn open(&self, svm: &mut Svm) {
        self.dispute(svm);
        svm.must(&[self.case().open(key(&self.relayer))], &[&self.relayer]);
        svm.skip_slots(3);
    }

    /// What shows who hears the case first.
    pub fn hearing(&self) -> Hearing {
        let shown = InEffect { list: Some(0), next: None };
        Hearing { own: shown, parent: self.parent.as_ref().map(|parent| (B256::new(parent.id()), shown)) }
    }

    /// Opens, and the first jury is drawn.
    pub fn draw(&self, svm: &mut Svm) {
        self.open(svm);
        svm.must(&[self.case().draw(&self.hearing())], &[]);
    }

    /// Draws the first jury, lets it be silent, and draws the second.
    pub fn draw_second(&self, svm: &mut Svm) {
        self.draw(svm);
        self.open_second(svm);
        svm.must(&[self.case().draw_later(1, self.pool(), 0)], &[]);
    }

    /// Opens the second jury in time.
    pub fn open_second(&self, svm: &mut Svm) {
        svm.set_time(self.second());
        svm.must(&[self.case().open_second_jury(key(&self.relayer), 0)], &[&self.relayer]);
        svm.skip_slots(3);
    }

    /// The first second in which a second jury can be opened.
    pub fn second(&self) -> u64 {
        MOVED + u64::from(OPENING + VOTING) + 1
    }

    /// The first second in which an instance that began with the dispute can be concluded.
    pub fn over(&self) -> u64 {
        MOVED + 2 * u64::from(OPENING + VOTING) + 1
    }

    /// A jury as it is.
    pub fn jury(&self, svm: &Svm, ordinal: u8) -> solana::state::Jury {
        let account = svm.account(&solana::jury_address(self.deal.id, ordinal)).unwrap();
        solana::read_jury(&account.data).unwrap()
    }

    /// The deal as it is.
    pub fn state(&self, svm: &Svm) -> solana::state::Deal {
        solana::read_deal(&svm.account(&self.deal.address).unwrap().data).unwrap()
    }

    /// Who holds a seat.
    pub fn juror(&self, svm: &Svm, ordinal: u8, seat: u8) -> Keypair {
        keypair(self.jurors[&self.jury(svm, ordinal).seats[usize::from(seat)]])
    }

    /// Signed ballots of a jury: seat and share.
    pub fn ballots(&self, svm: &Svm, ordinal: u8, said: &[(u8, u16)]) -> Vec<Ballot> {
        let case = B256::new(self.jury(svm, ordinal).case_id);
        let ballot = |(seat, share): &(u8, u16)| {
            let juror = self.juror(svm, ordinal, *seat);
            let signature = signature(&juror, &Line::ballot(case, *share, B256::ZERO));
            Ballot { seat: *seat, share: *share, reason: B256::ZERO, key: key(&juror), signature }
        };
        said.iter().map(ballot).collect()
    }

    /// Hands in signed ballots of a jury.
    pub fn submit(&self, svm: &Svm, voting: Voting, said: &[(u8, u16)]) -> Vec<solana::Instruction> {
        let case = B256::new(self.jury(svm, voting.ordinal).case_id);
        self.case().submit(voting, case, &self.ballots(svm, voting.ordinal, said), 0)
    }

    /// Draws, and the jury rules for this share.
    pub fn rule(&self, svm: &mut Svm, share: u16) {
        self.draw(svm);
        let most: Vec<_> = (0..self.setting.seats / 2 + 1).map(|seat| (seat, share)).collect();
        for said in most.chunks(4) {
            let call = self.submit(svm, Voting { ordinal: 0, last: 0 }, said);
            svm.must(&call, &[]);
        }
    }

    /// What an appeal shows of the parent.
    pub fn above(&self) -> (B256, InEffect) {
        (B256::new(self.parent.as_ref().unwrap().id()), InEffect { list: Some(0), next: None })
    }

    /// The pool rules and the buyer appeals; the parent's jury is jury 1.
    pub fn appeal(&self, svm: &mut Svm) {
        self.rule(svm, 2_000);
        let last = self.state(svm).juries - 1;
        let appeal = self.case().appeal(key(&self.relayer), key(&self.buyer), last, self.above(), None, 0);
        svm.must(&appeal, &[&self.relayer, &self.buyer]);
        svm.skip_slots(3);
    }
}
