//! Which deals to list.

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, AssetId, ChainId},
    wire::view::{Deal, DealStatus},
};
use service::http::Problem;

use crate::{
    columns::account_key,
    params::Params,
    query::{
        list::Listed,
        scan::{Among, Takes},
    },
    states::model::Subject,
};

/// Each condition holds where it is given. Times in Unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub chain: Option<ChainId>,
    /// Buyer or seller.
    pub party: Option<AccountId>,
    pub buyer: Option<AccountId>,
    pub seller: Option<AccountId>,
    pub status: Option<DealStatus>,
    pub escrow: Option<AccountId>,
    pub arbiter: Option<AccountId>,
    pub asset: Option<AssetId>,
    pub pool: Option<B256>,
    /// Funded at this time or later.
    pub funded_from: Option<u64>,
    /// Funded before this time.
    pub funded_before: Option<u64>,
    /// The status is older than this time.
    pub since_before: Option<u64>,
}

const ACCOUNT: &str = "a CAIP-10 account, such as eip155:1:0x and 40 hexadecimal digits";
const TIME: &str = "Unix seconds";

impl Listed for Filter {
    type State = Deal;
    const ROOM: &str = "deal/";
    const PARAMETERS: &[&str] = &[
        "chain",
        "party",
        "buyer",
        "seller",
        "status",
        "escrow",
        "arbiter",
        "asset",
        "pool",
        "funded_from",
        "funded_before",
        "since_before",
    ];

    fn read(params: &Params) -> Result<Self, Problem> {
        Ok(Self {
            chain: params.parsed("chain", "a CAIP-2 chain, such as eip155:1")?,
            party: params.parsed("party", ACCOUNT)?,
            buyer: params.parsed("buyer", ACCOUNT)?,
            seller: params.parsed("seller", ACCOUNT)?,
            status: params.parsed("status", "funded, delivered, disputed or closed")?,
            escrow: params.parsed("escrow", ACCOUNT)?,
            arbiter: params.parsed("arbiter", ACCOUNT)?,
            asset: params.parsed("asset", "a CAIP-19 asset")?,
            pool: params.parsed("pool", "a pool's id, 0x and 64 hexadecimal digits")?,
            funded_from: params.parsed("funded_from", TIME)?,
            funded_before: params.parsed("funded_before", TIME)?,
            since_before: params.parsed("since_before", TIME)?,
        })
    }

    // Deals are named by their ids, in cursors too.
    fn after(params: &Params) -> Result<Option<String>, Problem> {
        let after = params.parsed("after", "a deal's id, 0x and 64 hexadecimal digits")?;
        Ok(after.map(|deal| Subject::Deal(deal).to_string()))
    }

    // That of the conditions which is likely to leave least.
    fn among(&self) -> Among {
        match (self.buyer, self.seller, self.party, self.status) {
            (Some(buyer), _, _, _) => Among::Buyer(account_key(&buyer)),
            (_, Some(seller), _, _) => Among::Seller(account_key(&seller)),
            (_, _, Some(party), _) => Among::Party(account_key(&party)),
            (None, None, None, None | Some(DealStatus::Closed)) => Among::All,
            (None, None, None, Some(status)) => Among::Open(status.name()),
        }
    }
}

impl Takes<Deal> for Filter {
    fn takes(&self, deal: &Deal) -> bool {
        let terms = &deal.terms;
        self.chain.is_none_or(|chain| terms.escrow.chain == chain)
            && self.party.is_none_or(|party| terms.buyer == party || terms.seller == party)
            && self.buyer.is_none_or(|buyer| terms.buyer == buyer)
            && self.seller.is_none_or(|seller| terms.seller == seller)
            && self.status.is_none_or(|status| deal.status == status)
            && self.escrow.is_none_or(|escrow| terms.escrow == escrow)
            && self.arbiter.is_none_or(|arbiter| terms.arbiter == arbiter)
            && self.asset.is_none_or(|asset| terms.asset == asset)
            && self.pool.is_none_or(|pool| terms.panel == pool)
            && self.funded_from.is_none_or(|from| deal.funded_at >= from)
            && self.funded_before.is_none_or(|before| deal.funded_at < before)
            && self.since_before.is_none_or(|before| deal.since < before)
    }
}
