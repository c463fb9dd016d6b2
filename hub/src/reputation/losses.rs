//! The hub's word on whoever a jury of a community's members ruled against: what `submit` asks of it, and when it is said.

use serde_json::Value;
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    kinds::Kind,
    loss,
    model::WalletDid,
    room::{CredentialBody, Outcome, draw, keep},
    store,
};
use crate::{
    Hub,
    access::Audience,
    communities,
    deals::store::corrupt,
    error::{Error, Refusal},
    governance, grievances, identity,
    records::{Accepted, Draft, Stamp},
};

/// Takes the hub's own word, once for a grievance, where its jury ruled so.
pub(super) async fn apply(
    hub: &Hub,
    on: &mut AnyConnection,
    accepted: &Accepted,
    credential: &Value,
) -> Result<(), Error> {
    let record = &accepted.record;
    // Before anything is looked for: nobody learns so whether there is such a grievance.
    if record.account() != hub.account {
        let told = format!("a {} of a grievance is the hub's to issue", Kind::DisputeLost.name());
        return Err(Refusal::access("not_the_counterparty", "/author", told).into());
    }
    let said = loss::verify(credential, record.device).map_err(Refusal::from)?;
    let about = record.about()?;
    let WalletDid(wallet) = said.subject.id;
    let owner = identity::account_of_wallet(on, &wallet).await?;
    let lost = grievances::lost(on, &about).await?;
    if lost.map(|(loss, respondent)| (loss, Some(respondent))) != Some((said.subject.grievance, owner)) {
        let told = format!("no jury has ruled so on {about} against whoever has {wallet}");
        let field = "/body/credential/credentialSubject/grievance";
        return Err(Refusal::rule("credential_grievance", field, told).into());
    }
    let outcome = Outcome { key: &about.to_string(), about, kind: Kind::DisputeLost, subject: wallet };
    keep(on, &outcome, said.status.as_ref(), credential, accepted).await
}

/// After a `tally@1`: the hub's word on a grievance that its jury has just ruled on, about the wallet that the respondent has had
/// longest. Of an account without a wallet there is nobody to speak of.
///
/// # Errors
/// The database fails.
pub(crate) async fn ruled(hub: &Hub, write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let on = write.on();
    let Some(id) = governance::asked_about(on, &accepted.record.about()?).await? else {
        return Ok(Vec::new());
    };
    let Some((loss, respondent)) = grievances::lost(on, &id).await? else { return Ok(Vec::new()) };
    let wallet = identity::wallets_of(on, &respondent).await?.into_iter().next();
    let Some(wallet) = wallet else { return Ok(Vec::new()) };
    if store::exists(on, &id.to_string(), Kind::DisputeLost).await? {
        return Ok(Vec::new());
    }
    let now = Stamp::from_ms(accepted.received_at);
    let status = Some(draw(on, &hub.public.url, accepted).await?);
    let credential = loss::issue(loss, WalletDid(wallet), status, &hub.key, now)
        .map_err(|error| corrupt(format_args!("no credential for grievance {id}: {error}")))?;
    let body = serde_json::to_value(CredentialBody { credential }).map_err(corrupt)?;
    let draft = Draft::new("credential@1", Some(hub.account), now, body).about(id);
    // Who belongs to a community that not everybody may read is not told to everybody.
    let community = communities::community(on, &loss.community).await?;
    let public = community.is_some_and(|one| one.audience.contains(&Audience::Public));
    let audience = if public {
        vec![Audience::Public]
    } else {
        vec![Audience::Community(loss.community), Audience::Account(respondent)]
    };
    Ok(vec![draft.only_for(audience)])
}
