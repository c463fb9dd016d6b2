//! Cases in the database.

use alloy::primitives::B256;
use protocol::wire::view::CaseView;
use sqlx::AnyConnection;

use crate::{Error, columns::Columns, deals, states::model::Subject};

/// The case that the deal's own terms speak of: at its arbiter, of its escrow.
pub(crate) async fn find(on: &mut AnyConnection, deal: B256) -> Result<Option<CaseView>, Error> {
    let Some(view) = deals::store::find(&mut *on, deal).await? else { return Ok(None) };
    let terms = view.deal.terms;
    let subject = Subject::Case { deal, escrow: terms.escrow.address, arbiter: terms.arbiter };
    let row = sqlx::query(
        "SELECT states.state AS state, (SELECT e.finality FROM events e WHERE e.canonical = 1 \
         AND e.subject = states.subject ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1) AS finality \
         FROM states WHERE states.subject = $1",
    )
    .bind(subject.to_string())
    .fetch_optional(on)
    .await?;
    row.map(|row| Ok(CaseView { case: row.from_json("state")?, finality: row.finality("finality")? }))
        .transpose()
}
