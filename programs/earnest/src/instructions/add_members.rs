use anchor_lang::{
    prelude::*,
    system_program::{self, Transfer},
};

use crate::{
    errors::Refusal,
    state::{list::LARGEST_LIST, List, Pool},
};

/// Members that one call can add: by so much an account may grow in it.
const LARGEST_CHUNK: usize = 10_240 / 32;

/// Members to add.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct AddMembersArgs {
    /// How many the list has, so that no chunk is added twice.
    pub start: u32,
    /// 1 to 320, strictly ascending, and above those that the list has.
    pub members: Vec<Pubkey>,
}

/// The keeper adds members to a list that is not published.
#[derive(Accounts)]
pub struct AddMembers<'info> {
    /// The pool.
    pub pool: Account<'info, Pool>,
    /// The pool's keeper, who pays the rent.
    #[account(mut)]
    pub keeper: Signer<'info>,
    /// The list.
    #[account(mut)]
    pub list: AccountLoader<'info, List>,
    /// Moves the rent.
    pub system_program: Program<'info, System>,
}

impl<'info> AddMembers<'info> {
    /// # Errors
    /// `ListPublished`, `NotKeeper`, `BadChunk`, `ListNotAscending`.
    pub fn add_members(ctx: Context<'info, Self>, args: AddMembersArgs) -> Result<()> {
        let accounts = &ctx.accounts;
        let AddMembersArgs { start, members } = args;
        accounts.list.load()?.check_unpublished(&accounts.pool, &accounts.keeper.key())?;
        let size = accounts.list.load()?.size;
        let grown = u32::try_from(members.len()).ok().and_then(|count| size.checked_add(count));
        let chunk = start == size && (1..=LARGEST_CHUNK).contains(&members.len());
        let grown = grown.filter(|grown| chunk && *grown <= LARGEST_LIST).ok_or(Refusal::BadChunk)?;

        let account = accounts.list.as_ref();
        let mut above = match size.checked_sub(1) {
            Some(last) => List::member(&account.try_borrow_data()?, last)?,
            None => Pubkey::default(),
        };
        for member in &members {
            require!(*member > above, Refusal::ListNotAscending);
            above = *member;
        }

        let space = List::space(grown)?;
        let missing = Rent::get()?.minimum_balance(space).saturating_sub(account.lamports());
        if missing > 0 {
            let transfer = Transfer { from: accounts.keeper.to_account_info(), to: account.clone() };
            system_program::transfer(CpiContext::new(system_program::ID, transfer), missing)?;
        }
        account.resize(space)?;
        {
            let mut data = account.try_borrow_mut_data()?;
            let room = data.get_mut(List::space(size)?..space).ok_or(Refusal::Broken)?;
            for (place, member) in room.chunks_exact_mut(32).zip(&members) {
                place.copy_from_slice(member.as_ref());
            }
        }
        let mut list = accounts.list.load_mut()?;
        list.size = grown;
        list.invariant()
    }
}
