//! How events add up to a pool.

use protocol::wire::{
    feed::{ChainEvent, EventBody},
    view::{MemberList, Pool},
};

/// The pool after the event. Events of other things change nothing.
pub(crate) fn fold(before: Option<Pool>, event: &ChainEvent) -> Option<Pool> {
    let (EventBody::PoolCreated { pool, .. } | EventBody::ListPublished { pool, .. }) = &event.body else {
        return before;
    };
    let mut state = before.unwrap_or_else(|| Pool {
        pool: *pool,
        arbiter: event.contract,
        book: None,
        lists: Vec::new(),
    });
    match &event.body {
        EventBody::PoolCreated { book, .. } => state.book = Some(book.clone()),
        EventBody::ListPublished { list, size, effective_at, pages, .. } => {
            state.lists.push(MemberList {
                list: *list,
                size: *size,
                effective_at: *effective_at,
                pages: pages.clone(),
            });
        }
        _ => {}
    }
    Some(state)
}
