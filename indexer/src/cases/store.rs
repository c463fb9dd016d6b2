//! Cases in the database.

use alloy::primitives::B256;
use protocol::wire::view::CaseView;
use sqlx::AnyConnection;

use crate::{
    Error, deals,
    states::{self, model::Subject},
};

/// The case that the deal's own terms speak of: at its arbiter, of its escrow.
pub(crate) async fn find(on: &mut AnyConnection, deal: B256) -> Result<Option<CaseView>, Error> {
    let Some(view) = deals::store::find(&mut *on, deal).await? else { return Ok(None) };
    let terms = view.deal.terms;
    let subject = Subject::Case { deal, escrow: terms.escrow.address, arbiter: terms.arbiter };
    let found = states::store::view(on, &subject).await?;
    Ok(found.map(|(case, finality)| CaseView { case, finality }))
}
