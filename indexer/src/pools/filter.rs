//! Which pools to list.

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, Address},
    wire::view::Pool,
};
use service::http::Problem;

use crate::{
    params::Params,
    query::{list::Listed, scan::Takes},
};

/// Each condition holds where it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub arbiter: Option<AccountId>,
    /// Who publishes its lists.
    pub keeper: Option<Address>,
    /// The pool that appeals go to.
    pub parent: Option<B256>,
}

impl Listed for Filter {
    type State = Pool;
    const ROOM: &str = "pool/";
    const PARAMETERS: &[&str] = &["arbiter", "keeper", "parent"];

    fn read(params: &Params) -> Result<Self, Problem> {
        Ok(Self {
            arbiter: params.parsed("arbiter", "a CAIP-10 account")?,
            keeper: params.parsed("keeper", "an address")?,
            parent: params.parsed("parent", "a pool's id, 0x and 64 hexadecimal digits")?,
        })
    }
}

impl Takes<Pool> for Filter {
    // What a pool's rules say holds of none whose rules are not known.
    fn takes(&self, pool: &Pool) -> bool {
        let book = pool.book.as_ref();
        self.arbiter.is_none_or(|arbiter| pool.arbiter == arbiter)
            && self.keeper.is_none_or(|keeper| book.is_some_and(|book| book.keeper == keeper))
            && self.parent.is_none_or(|parent| book.is_some_and(|book| book.parent == parent))
    }
}
