use anchor_lang::prelude::*;
use solana_sdk_ids::sysvar::slot_hashes;

use crate::{
    case, clock,
    digest::{keccak, word},
    errors::Refusal,
    events::{JuryDrawn, TargetMoved},
    panel::*,
    sortition::{self, Target},
    state::{Deal, Jury, Pool, Stage},
};

/// Seats the last jury of a case once its target slot is past. Anyone may. The case's earlier juries come as remaining
/// accounts, all of them in their order, so that nobody sits twice.
///
/// For a case's first jury the accounts show who hears it: the pool of the terms and, where that has a parent, the parent,
/// each with its list that was in effect when the deal was funded. For every other jury that is known already, and
/// `of_pool.list` is the list.
#[event_cpi]
#[derive(Accounts)]
pub struct Draw<'info> {
    /// The deal.
    pub deal: AccountLoader<'info, Deal>,
    /// CHECK: loaded here, as the last jury of the case.
    #[account(mut)]
    pub jury: UncheckedAccount<'info>,
    /// CHECK: the hashes of the last slots.
    #[account(address = slot_hashes::ID)]
    pub slot_hashes: UncheckedAccount<'info>,
    /// CHECK: compared with the pool of the terms.
    pub pool: Option<UncheckedAccount<'info>>,
    /// The pool's list.
    pub of_pool: InEffect<'info>,
    /// CHECK: compared with the pool's parent.
    pub parent: Option<UncheckedAccount<'info>>,
    /// The parent's list.
    pub of_parent: InEffect<'info>,
}

impl<'info> Draw<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn draw(ctx: Context<'info, Self>) -> Result<()> {
        let accounts: &'info Self = ctx.accounts;
        let last = case::last(&accounts.deal, accounts.jury.as_ref())?;
        let deal = accounts.deal.load()?;
        let mut jury = last.load_mut()?;
        require!(jury.stage() == Stage::Opened, Refusal::AlreadyDrawn);
        let panel = if jury.ends_at == 0 { Some(accounts.panel(&deal, jury.disputed_at)?) } else { None };
        let target = sortition::look_up(&accounts.slot_hashes.try_borrow_data()?, jury.target_slot)?;
        require!(target != Target::Ahead, Refusal::TooEarly);
        let ends_at = panel.as_ref().map_or(jury.ends_at, |panel| panel.ends_at);
        require!(clock::now()? <= ends_at, Refusal::TooLate);
        let Target::Hash(hash) = target else {
            jury.target_slot = sortition::moved(jury.target_slot, clock::slot()?);
            jury.invariant()?;
            emit_cpi!(TargetMoved { deal: deal.id, target_slot: jury.target_slot });
            return Ok(());
        };
        if let Some(panel) = &panel {
            panel.write(&mut jury);
        }
        let (instance, number) = (jury.instance, jury.jury);
        let seed = sortition::seed(&hash, &deal.id, instance, number);
        let seats = accounts.seats(&deal, &jury, &seed, ctx.remaining_accounts)?;
        jury.stage = Stage::Drawn as u8;
        jury.target_slot = 0;
        jury.seed = seed;
        jury.case_id = keccak(&[
            &jury.pool,
            crate::ID.as_ref(),
            &deal.id,
            &word(instance.into()),
            &word(number.into()),
            &seed,
        ]);
        jury.seats.get_mut(..seats.len()).ok_or(Refusal::Broken)?.copy_from_slice(&seats);
        jury.invariant()?;
        emit_cpi!(JuryDrawn {
            deal: deal.id,
            pool: jury.pool,
            instance,
            jury: number,
            list: jury.list_index,
            ends_at,
            seed,
            seats,
        });
        Ok(())
    }

    /// Who hears the case first.
    fn panel(&self, deal: &Deal, disputed_at: u64) -> Result<Panel> {
        let pool = self.pool.as_ref().ok_or(Refusal::WrongAccount)?;
        let own = Pool::at(pool, &deal.panel)?.ok_or(Refusal::UnknownPool)?;
        let found = self.of_pool.at(&own, deal.funded_at)?;
        let has_parent = own.book.parent != [0; 32];
        require!(self.parent.is_some() == has_parent, Refusal::WrongAccount);
        let Some(parent) = &self.parent else {
            return Panel::first((&own, found), None, disputed_at, deal.ruling);
        };
        let parent = Pool::at(parent, &own.book.parent)?.ok_or(Refusal::UnknownPool)?;
        let above = self.of_parent.at(&parent, deal.funded_at)?;
        Panel::first((&own, found), Some((&parent, above)), disputed_at, deal.ruling)
    }

    /// Who sits: the parties, and everyone seated earlier in the case, are passed over.
    fn seats(
        &self,
        deal: &Deal,
        jury: &Jury,
        seed: &[u8; 32],
        earlier: &'info [AccountInfo<'info>],
    ) -> Result<Vec<Pubkey>> {
        require!(earlier.len() == usize::from(jury.ordinal), Refusal::WrongAccount);
        let mut passed_over = vec![deal.buyer, deal.seller];
        for (ordinal, account) in (0_u8..).zip(earlier) {
            let before = case::jury(&self.deal, account)?;
            let before = before.load()?;
            require!(before.ordinal == ordinal, Refusal::WrongAccount);
            passed_over.extend_from_slice(before.seated());
        }
        let given = [&self.of_pool.list, &self.of_parent.list];
        let list = given.into_iter().flatten().find(|list| list.key() == jury.list);
        let list = list.ok_or(Refusal::WrongAccount)?;
        let data = list.as_ref().try_borrow_data()?;
        sortition::draw(seed, &data, jury.members, &passed_over, jury.size)
    }
}
