//! Whom a jury is drawn from: which pool hears a case, by which of its lists, and for how long.

use anchor_lang::prelude::*;

use crate::{
    errors::Refusal,
    state::{
        pool::{EXECUTION, MARGIN},
        Jury, List, Pool,
    },
};

/// What shows which list of a pool was in effect when the deal was funded: that list, and the one after it where there is
/// one. Where none was in effect yet, the pool's first list alone; where the pool has none, neither.
#[derive(Accounts)]
pub struct InEffect<'info> {
    /// The list.
    pub list: Option<AccountLoader<'info, List>>,
    /// The list after it.
    pub next: Option<AccountLoader<'info, List>>,
}

/// A list that was in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its address.
    pub list: Pubkey,
    /// Its number among the pool's lists.
    pub index: u32,
    /// How many members it has.
    pub members: u32,
}

impl InEffect<'_> {
    /// The list of `pool` in effect at `time`, in Unix seconds. The accounts only show it: with others there is an error,
    /// never another answer.
    ///
    /// # Errors
    /// `WrongAccount`.
    pub fn at(&self, pool: &Pool, time: u64) -> Result<Option<Found>> {
        let list = self.list.as_ref().map(AccountLoader::load).transpose()?;
        let next = self.next.as_ref().map(AccountLoader::load).transpose()?;
        let found = in_effect(pool, list.as_deref(), next.as_deref(), time)?;
        let address = self.list.as_ref().map(Key::key);
        Ok(found.zip(address).map(|(found, list)| Found { list, index: found.index, members: found.size }))
    }
}

/// The given list where it is the pool's newest one in effect at `time`; none where the pool had none in effect.
fn in_effect<'a>(
    pool: &Pool,
    list: Option<&'a List>,
    next: Option<&List>,
    time: u64,
) -> Result<Option<&'a List>> {
    let is = |list: &List, index: u32| list.pool == pool.id && list.index == index && index < pool.lists;
    let Some(list) = list else {
        require!(pool.lists == 0 && next.is_none(), Refusal::WrongAccount);
        return Ok(None);
    };
    require!(is(list, list.index) && list.is_published(), Refusal::WrongAccount);
    if list.effective_at > time {
        // Lists take effect in the order of their publication.
        require!(list.index == 0 && next.is_none(), Refusal::WrongAccount);
        return Ok(None);
    }
    let after = list.index.saturating_add(1);
    let newest = match next {
        None => after == pool.lists,
        Some(next) => is(next, after) && next.effective_at > time,
    };
    require!(newest, Refusal::WrongAccount);
    Ok(Some(list))
}

/// Whom a jury is drawn from. Times in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panel {
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// The pool that hears the case.
    pub pool: [u8; 32],
    /// Its list.
    pub found: Found,
    /// Seats.
    pub size: u8,
    /// When the instance's last word falls.
    pub ends_at: u64,
    /// The last second of the first jury's own voting.
    pub first_closes_at: u64,
    /// How its ruling could be appealed.
    pub appeal: Option<Appealable>,
}

/// How a ruling could be appealed. In seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appealable {
    /// In which it may be.
    pub appeal: u32,
    /// From the ruling to the end of the appeal, with what must be left then.
    pub appeal_time: u64,
}

/// A pool, and its list that was in effect.
pub type Listed<'a> = (&'a Pool, Option<Found>);

impl Panel {
    /// Who hears the case first: the pool of the terms or, where that had no list, its parent.
    ///
    /// # Errors
    /// `NoList`.
    pub fn first(own: Listed<'_>, parent: Option<Listed<'_>>, disputed_at: u64, ruling: u32) -> Result<Self> {
        let (own, own_list) = own;
        let (instance, pool, found) = match (own_list, parent) {
            (Some(found), _) => (0, own, found),
            (None, Some((parent, Some(found)))) => (1, parent, found),
            (None, _) => return err!(Refusal::NoList),
        };
        let ends_at = disputed_at.saturating_add(pool.book.span().min(ruling.into()));
        let appeal = parent.filter(|_| instance == 0).and_then(|(parent, found)| {
            let size = u32::from(own.book.jury_size).saturating_mul(2);
            let needed = parent.book.smallest_list().saturating_add(size);
            // Two juries of the parent can be seated whoever sat before.
            found.filter(|found| found.members >= needed)?;
            let appeal = own.book.appeal;
            let after = parent.book.span().saturating_add(EXECUTION).saturating_add(MARGIN);
            Some(Appealable { appeal, appeal_time: u64::from(appeal).saturating_add(after) })
        });
        Ok(Self::of(instance, pool, found, ends_at, appeal))
    }

    /// Who hears an appeal that was possible until `until`.
    pub fn appeal(parent: &Pool, found: Found, until: u64) -> Self {
        Self::of(1, parent, found, until.saturating_add(parent.book.span()), None)
    }

    fn of(instance: u8, pool: &Pool, found: Found, ends_at: u64, appeal: Option<Appealable>) -> Self {
        let first_closes_at = ends_at.saturating_sub(pool.book.jury_time());
        Self { instance, pool: pool.id, found, size: pool.book.jury_size, ends_at, first_closes_at, appeal }
    }

    /// Writes it into a jury.
    pub fn write(&self, jury: &mut Jury) {
        (jury.instance, jury.pool, jury.size) = (self.instance, self.pool, self.size);
        (jury.list, jury.list_index, jury.members) = (self.found.list, self.found.index, self.found.members);
        (jury.ends_at, jury.first_closes_at) = (self.ends_at, self.first_closes_at);
        jury.appealable = u8::from(self.appeal.is_some());
        (jury.appeal, jury.appeal_time) =
            self.appeal.map_or((0, 0), |appeal| (appeal.appeal, appeal.appeal_time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::RuleBook;

    fn pool(id: u8, jury_size: u8, lists: u32) -> Pool {
        let book = RuleBook {
            keeper: Pubkey::default(),
            parent: [0; 32],
            jury_size,
            delay: 0,
            opening: 60,
            voting: 40,
            appeal: 500,
            salt: [0; 32],
        };
        Pool { id: [id; 32], book, lists, bump: 0 }
    }

    fn list(pool: u8, index: u32, effective_at: u64) -> List {
        List {
            pool: [pool; 32],
            rent_payer: Pubkey::default(),
            effective_at,
            index,
            size: 8,
            bump: 0,
            reserved: [0; 7],
        }
    }

    /// Whatever is shown of a pool's lists, there is one answer or none.
    #[test]
    fn the_accounts_cannot_choose_the_list() {
        let published = [10, 20, 20, 30];
        let lists: Vec<List> = (0_u32..).zip(published).map(|(index, at)| list(1, index, at)).collect();
        // Lists of another pool, one that is begun and not published, and one whose index the pool does not know.
        let others = [list(2, 0, 10), list(2, 3, 30), list(1, 4, 0), list(1, 4, 40)];
        let all: Vec<&List> = lists.iter().chain(&others).collect();
        let given: Vec<Option<&List>> = std::iter::once(None).chain(all.into_iter().map(Some)).collect();
        for count in 0..=4 {
            let pool = pool(1, 3, count);
            let known = lists.get(..count as usize).unwrap();
            for time in [9, 10, 19, 20, 21, 29, 30, 31] {
                let right = known.iter().rfind(|list| list.effective_at <= time);
                let mut shown = 0;
                for list in &given {
                    for next in &given {
                        if let Ok(found) = in_effect(&pool, *list, *next, time) {
                            assert_eq!(found, right, "{count} lists at {time}: {list:?} {next:?}");
                            shown += 1;
                        }
                    }
                }
                assert_eq!(shown, 1, "{count} lists at {time}");
            }
        }
    }

    #[test]
    fn who_hears_a_case_and_until_when() {
        let found = |members| Some(Found { list: Pubkey::default(), index: 0, members });
        let (own, parent) = (pool(1, 3, 1), pool(2, 5, 1));
        let first = |own_list, parent_list: Option<Option<Found>>, ruling| {
            let parent = parent_list.map(|list| (&parent, list));
            Panel::first((&own, own_list), parent, 1_000, ruling)
        };
        // Two juries of the parent, the parties, and two juries of the pool: 12 + 6 members.
        let alone = first(found(8), None, 10_000).unwrap();
        assert_eq!((alone.instance, alone.size, alone.appeal), (0, 3, None));
        assert_eq!((alone.ends_at, alone.first_closes_at), (1_200, 1_100));
        let appeal = Appealable { appeal: 500, appeal_time: 500 + 200 + 2 * 86_400 };
        assert_eq!(first(found(8), Some(found(18)), 10_000).unwrap().appeal, Some(appeal));
        assert_eq!(first(found(8), Some(found(17)), 10_000).unwrap().appeal, None);
        assert_eq!(first(found(8), Some(None), 10_000).unwrap().appeal, None);
        let above = first(None, Some(found(18)), 10_000).unwrap();
        assert_eq!((above.instance, above.pool, above.size, above.appeal), (1, [2; 32], 5, None));
        let short = first(found(8), None, 150).unwrap();
        assert_eq!((short.ends_at, short.first_closes_at), (1_150, 1_050));
        for parent in [None, Some(None)] {
            assert_eq!(first(None, parent, 10_000), Err(Refusal::NoList.into()));
        }
        let heard = Panel::appeal(&parent, found(18).unwrap(), 5_000);
        assert_eq!((heard.instance, heard.ends_at, heard.first_closes_at), (1, 5_200, 5_100));
    }
}
