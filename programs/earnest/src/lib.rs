//! The deal protocol on Solana: escrow and arbitration pools in one program that nobody owns and that takes nothing.
//!
//! `docs/protocol.md` is the protocol, `docs/solana.md` how it stands here. One file per instruction, one per account;
//! this file only dispatches.
#![deny(arithmetic_overflow, unused_must_use)]
#![warn(missing_docs)]
#![allow(clippy::result_large_err, reason = "Anchor's error is what every instruction answers with")]
// The macros of Anchor write items without documentation of their own.
#![allow(missing_docs, reason = "documented where each instruction and account is defined")]

use anchor_lang::prelude::*;

pub mod ballots;
pub mod case;
pub mod clock;
pub mod digest;
pub mod ed25519;
pub mod errors;
pub mod events;
pub mod instructions;
pub mod intake;
pub mod panel;
pub mod payout;
pub mod ruling;
pub mod sortition;
pub mod state;
pub mod terms;
pub mod tokens;

pub use errors::Refusal;
pub use instructions::*;
pub use state::RuleBook;
pub use terms::Terms;

declare_id!("Earnest111111111111111111111111111111111111");

/// The chain that this build is for, by CAIP-2. Part of every id and digest, so that nothing signed for one cluster holds
/// on another. A build for another cluster changes this line and `declare_id!`.
#[constant]
pub const CLUSTER: &str = "solana:EarnestLoca1Net11111111111111111";

#[program]
pub mod earnest {
    use super::*;

    // Deals

    /// Takes the amount in, with the consent of both parties.
    pub fn fund<'info>(ctx: Context<'info, Fund<'info>>, args: FundArgs) -> Result<()> {
        Fund::fund(ctx, args)
    }

    /// Makes terms that are not funded worthless for good.
    pub fn retract<'info>(ctx: Context<'info, Retract<'info>>, args: RetractArgs) -> Result<()> {
        Retract::retract(ctx, args)
    }

    /// The seller says that it delivered.
    pub fn deliver<'info>(ctx: Context<'info, Deliver<'info>>, args: DeliverArgs) -> Result<()> {
        Deliver::deliver(ctx, args)
    }

    /// The buyer raises the seller's total.
    pub fn release<'info>(ctx: Context<'info, Release<'info>>, args: ReleaseArgs) -> Result<()> {
        Release::release(ctx, args)
    }

    /// The seller raises the buyer's total.
    pub fn refund<'info>(ctx: Context<'info, Refund<'info>>, args: RefundArgs) -> Result<()> {
        Refund::refund(ctx, args)
    }

    /// A party disputes.
    pub fn dispute<'info>(ctx: Context<'info, Dispute<'info>>, args: DisputeArgs) -> Result<()> {
        Dispute::dispute(ctx, args)
    }

    /// A party adds to the dispute: an event and nothing else.
    pub fn evidence<'info>(ctx: Context<'info, Evidence<'info>>, args: EvidenceArgs) -> Result<()> {
        Evidence::evidence(ctx, args)
    }

    /// Not delivered in time: the rest goes back to the buyer.
    pub fn reclaim<'info>(ctx: Context<'info, Reclaim<'info>>) -> Result<()> {
        Reclaim::reclaim(ctx)
    }

    /// Delivered and nobody objected: the rest goes to the seller.
    pub fn claim<'info>(ctx: Context<'info, Claim<'info>>) -> Result<()> {
        Claim::claim(ctx)
    }

    /// Both parties close the deal as they agreed.
    pub fn settle<'info>(ctx: Context<'info, Settle<'info>>, args: SettleArgs) -> Result<()> {
        Settle::settle(ctx, args)
    }

    /// The arbiter of the terms rules.
    pub fn rule<'info>(ctx: Context<'info, Rule<'info>>, share: u16) -> Result<()> {
        Rule::rule(ctx, share)
    }

    /// The arbiter did not rule in time.
    pub fn lapse<'info>(ctx: Context<'info, Lapse<'info>>) -> Result<()> {
        Lapse::lapse(ctx)
    }

    /// A creditor takes what a payout of the deal could not bring it.
    pub fn withdraw<'info>(ctx: Context<'info, Withdraw<'info>>, args: WithdrawArgs) -> Result<()> {
        Withdraw::withdraw(ctx, args)
    }

    /// Closes the accounts of a deal that is over; their rent goes back to who paid it.
    pub fn close<'info>(ctx: Context<'info, Close<'info>>) -> Result<()> {
        Close::close(ctx)
    }

    // Consent

    /// An account that cannot sign off chain approves a digest, which then counts as its signature.
    pub fn approve<'info>(ctx: Context<'info, Approve<'info>>, digest: [u8; 32]) -> Result<()> {
        Approve::approve(ctx, digest)
    }

    /// The signer of a digest makes its signature worthless for good.
    pub fn revoke<'info>(ctx: Context<'info, Revoke<'info>>, digest: [u8; 32]) -> Result<()> {
        Revoke::revoke(ctx, digest)
    }

    // Pools

    /// Makes a pool of a rule book.
    pub fn create_pool<'info>(ctx: Context<'info, CreatePool<'info>>, book: RuleBook) -> Result<()> {
        CreatePool::create_pool(ctx, book)
    }

    /// The keeper begins the pool's next member list.
    pub fn create_list<'info>(ctx: Context<'info, CreateList<'info>>) -> Result<()> {
        CreateList::create_list(ctx)
    }

    /// The keeper adds members, ascending, to a list that is not published.
    pub fn add_members<'info>(ctx: Context<'info, AddMembers<'info>>, args: AddMembersArgs) -> Result<()> {
        AddMembers::add_members(ctx, args)
    }

    /// The keeper drops a list that is not published.
    pub fn discard_list<'info>(ctx: Context<'info, DiscardList<'info>>) -> Result<()> {
        DiscardList::discard_list(ctx)
    }

    /// The keeper publishes its list, which never changes again.
    pub fn publish_list<'info>(ctx: Context<'info, PublishList<'info>>) -> Result<()> {
        PublishList::publish_list(ctx)
    }

    // Cases

    /// Opens the case of a disputed deal: fixes the slot whose hash will seat the first jury.
    pub fn open<'info>(ctx: Context<'info, Open<'info>>) -> Result<()> {
        Open::open(ctx)
    }

    /// Seats a jury once its slot is past.
    pub fn draw<'info>(ctx: Context<'info, Draw<'info>>) -> Result<()> {
        Draw::draw(ctx)
    }

    /// Opens the second jury of an instance whose first one did not rule in time.
    pub fn open_second_jury<'info>(ctx: Context<'info, OpenSecondJury<'info>>) -> Result<()> {
        OpenSecondJury::open_second_jury(ctx)
    }

    /// A juror votes itself, which is final.
    pub fn cast<'info>(ctx: Context<'info, Cast<'info>>, args: CastArgs) -> Result<()> {
        Cast::cast(ctx, args)
    }

    /// Anyone hands in signed ballots.
    pub fn submit<'info>(ctx: Context<'info, Submit<'info>>, args: SubmitArgs) -> Result<()> {
        Submit::submit(ctx, args)
    }

    /// Speaks the last word of an instance whose juries did not rule in time.
    pub fn conclude<'info>(ctx: Context<'info, Conclude<'info>>) -> Result<()> {
        Conclude::conclude(ctx)
    }

    /// A party brings an accepted ruling before the parent pool.
    pub fn appeal<'info>(ctx: Context<'info, Appeal<'info>>, args: AppealArgs) -> Result<()> {
        Appeal::appeal(ctx, args)
    }

    /// Executes an accepted ruling.
    pub fn execute<'info>(ctx: Context<'info, Execute<'info>>) -> Result<()> {
        Execute::execute(ctx)
    }
}
