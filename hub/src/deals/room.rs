//! What `submit` asks of this room.

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, Signed, deal_id},
    wire::feed::FeedEntry,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    acts::{ActBody, StandingBody},
    chain,
    mirror::Mirrored,
    model::{self, AcceptanceBody, Goods, Offer, Panel, Price, PurchaseBody, REASON_MAX, WithdrawalBody},
    orders,
    position::Position,
    status::{Status, Step, step},
    store::{self, Purchase},
};
use crate::{
    Hub,
    access::{Reader, may_read},
    communities,
    error::{Error, Refusal},
    identity, market,
    records::{Accepted, Draft, Record, RecordId},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["purchases", "chain_events", "intents", "acts", "standing", "time_outs"];

/// What an offer depends on besides the log: which contracts the hub followed when it came, and whether the deal was on
/// chain already, so that its first events were let go.
#[derive(Serialize, Deserialize)]
struct Outside {
    escrows: Vec<AccountId>,
    arbiters: Vec<AccountId>,
    on_chain: bool,
}

/// What the author's contract wallet said of a signature.
#[derive(Serialize, Deserialize)]
struct Asked {
    contract_accepts: bool,
}

impl From<model::Refusal> for Refusal {
    fn from(refused: model::Refusal) -> Self {
        let (rule, field, detail) = (refused.rule(), refused.field(), refused.to_string());
        match refused {
            model::Refusal::NotSeller | model::Refusal::NotParty => Self::access(rule, field, detail),
            model::Refusal::ListingInactive
            | model::Refusal::KnownDeal(_)
            | model::Refusal::DealOnChain(_)
            | model::Refusal::TooLate(_) => Self::conflict(rule, field, detail),
            _ => Self::rule(rule, field, detail),
        }
    }
}

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    record.about()?;
    match record.kind.as_str() {
        "purchase@1" => drop(record.body_as::<PurchaseBody>()?),
        "acceptance@1" => drop(record.body_as::<AcceptanceBody>()?),
        "withdrawal@1" => {
            let length = record.body_as::<WithdrawalBody>()?.reason.chars().count();
            if length > REASON_MAX {
                return Err(model::Refusal::ReasonTooLong(length).into());
            }
        }
        "act@1" => drop(record.body_as::<ActBody>()?),
        "standing@1" => drop(record.body_as::<StandingBody>()?),
        _ => drop(record.body_as::<FeedEntry>()?),
    }
    Ok(())
}

pub(crate) async fn prepare(hub: &Hub, record: &Record) -> Result<Value, Error> {
    match record.kind.as_str() {
        "purchase@1" => {
            let PurchaseBody { terms, .. } = record.body_as()?;
            let (escrows, arbiters) = (hub.config.escrows.clone(), hub.config.arbiters.clone());
            let on_chain = match deal_id(&terms) {
                Ok(deal) if escrows.contains(&terms.escrow) && !is_known(hub, deal).await? => {
                    hub.indexers.deal(terms.escrow.chain, deal).await?.is_some()
                }
                // No offer either way; the rules say why.
                _ => false,
            };
            Ok(json!(Outside { escrows, arbiters, on_chain }))
        }
        "acceptance@1" => {
            let purchase = store::by_id(&mut *hub.db.reader().acquire().await?, &record.about()?).await?;
            let Some(purchase) = purchase.filter(|found| found.seller == record.account()) else {
                return Ok(Value::Null);
            };
            let AcceptanceBody { signature } = record.body_as()?;
            match model::seller_signature(&purchase.terms, &signature) {
                // Nothing to ask; the rules say, in their order, what is wrong.
                Ok(Signed::ByKey) | Err(_) => Ok(Value::Null),
                Ok(Signed::AskContract(digest)) => {
                    let wallet = purchase.terms.seller;
                    let contract_accepts =
                        identity::contract_accepts(&hub.indexers, wallet, digest, &signature).await?;
                    Ok(json!(Asked { contract_accepts }))
                }
            }
        }
        "act@1" => {
            let accepts = orders::contract_accepts(hub, record).await?;
            Ok(accepts.map_or(Value::Null, |contract_accepts| json!(Asked { contract_accepts })))
        }
        _ => Ok(Value::Null),
    }
}

async fn is_known(hub: &Hub, deal: B256) -> Result<bool, Error> {
    Ok(store::by_deal(&mut *hub.db.reader().acquire().await?, deal).await?.is_some())
}

pub(crate) async fn apply(write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    match accepted.record.kind.as_str() {
        "purchase@1" => offer(write.on(), accepted).await?,
        "acceptance@1" => accept(write.on(), accepted).await?,
        "withdrawal@1" => withdraw(write.on(), accepted).await?,
        "act@1" => {
            let purchase = known(write.on(), &accepted.record).await?;
            let asked = Option::<Asked>::deserialize(&accepted.facts).map_err(store::corrupt)?;
            let accepts = asked.map(|asked| asked.contract_accepts);
            orders::act(write.on(), &purchase, accepted, accepts, seconds(accepted)).await?;
        }
        "standing@1" => {
            let purchase = known(write.on(), &accepted.record).await?;
            orders::stand(write.on(), &purchase, accepted, seconds(accepted)).await?;
        }
        _ => chain::apply(write, accepted).await?,
    }
    Ok(Vec::new())
}

/// Unix seconds of the moment at which the record came.
fn seconds(accepted: &Accepted) -> u64 {
    u64::try_from(accepted.received_at.div_euclid(1000)).unwrap_or_default()
}

async fn goods(on: &mut AnyConnection, listing: &RecordId, buyer: RecordId) -> Result<Option<Goods>, Error> {
    let roles = communities::roles_of(on, &buyer).await?;
    let reader = Reader { account: Some(buyer), roles };
    let listing = market::listing(on, listing).await?;
    Ok(listing.filter(|listing| may_read(&reader, &listing.audience)).map(|listing| Goods {
        id: listing.id,
        seller: listing.seller,
        active: listing.active(),
        pay_to: listing.pay_to(),
        fixed: listing
            .fixed_prices()
            .map(|prices| prices.into_iter().map(|(asset, amount)| Price { asset, amount }).collect()),
    }))
}

async fn panel(
    on: &mut AnyConnection,
    body: &PurchaseBody,
    buyer: &RecordId,
    seller: &RecordId,
) -> Result<Option<Panel>, Error> {
    let Some(pool) = communities::pool(on, &body.terms.arbiter, &body.terms.panel).await? else {
        return Ok(None);
    };
    let (ours, theirs) = (communities::roles_of(on, buyer).await?, communities::roles_of(on, seller).await?);
    Ok(Some(Panel {
        worst_case: pool.facts.worst_case,
        open_to_both: communities::common_or_public(&pool.scopes, &ours, &theirs),
    }))
}

async fn offer(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let record = &accepted.record;
    let body: PurchaseBody = record.body_as()?;
    let outside = Outside::deserialize(&accepted.facts).map_err(store::corrupt)?;
    let buyer = record.account();
    let goods = goods(on, &record.about()?, buyer).await?;
    let wallets = identity::wallets_of(on, &buyer).await?;
    let panel = match &goods {
        Some(goods) => panel(on, &body, &buyer, &goods.seller).await?,
        None => None,
    };
    let offer = Offer {
        buyer,
        goods: goods.as_ref(),
        wallets: &wallets,
        escrows: &outside.escrows,
        arbiters: &outside.arbiters,
        panel,
        on_chain: outside.on_chain,
        now: seconds(accepted),
    };
    let deal = model::check_purchase(&body, &offer).map_err(Refusal::from)?;
    let goods = goods.ok_or_else(|| Refusal::from(model::Refusal::NoListing))?;
    if store::by_deal(on, deal).await?.is_some() {
        return Err(Refusal::from(model::Refusal::KnownDeal(deal)).into());
    }
    let mut purchase = Purchase {
        id: record.id,
        seq: accepted.seq,
        deal,
        listing: goods.id,
        buyer,
        seller: goods.seller,
        audience: record.audience.clone(),
        terms: body.terms,
        agreement: body.agreement,
        said: Status::Offered,
        position: Position::new(Status::Offered),
        waits: false,
        mirrored: Mirrored::default(),
        provisional: None,
        signature: None,
        created_at: accepted.received_at,
        updated_at: accepted.received_at,
    };
    store::insert(on, &purchase).await?;
    chain::refold(on, &mut purchase, accepted.received_at).await
}

/// The purchase that a record is about, when its author may know of it.
async fn known(on: &mut AnyConnection, record: &Record) -> Result<Purchase, Error> {
    let about = record.about()?;
    let found = store::by_id(on, &about).await?.filter(|purchase| purchase.is_party(&record.account()));
    found.ok_or_else(|| {
        Refusal::rule("no_purchase", "/about", format!("there is no purchase {about} of yours")).into()
    })
}

fn stepped(from: Status, by: Step) -> Result<Status, Refusal> {
    step(from, by).map_err(|refused| Refusal::conflict(refused.rule(), "/about", refused.to_string()))
}

async fn accept(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let record = &accepted.record;
    let mut purchase = known(on, record).await?;
    if purchase.seller != record.account() {
        return Err(Refusal::from(model::Refusal::NotSeller).into());
    }
    purchase.said = stepped(purchase.position.status, Step::Accept)?;
    if seconds(accepted) > purchase.terms.fund_by {
        return Err(Refusal::from(model::Refusal::TooLate(purchase.terms.fund_by)).into());
    }
    let AcceptanceBody { signature } = record.body_as()?;
    let signed = model::seller_signature(&purchase.terms, &signature).map_err(Refusal::from)?;
    let asked = Option::<Asked>::deserialize(&accepted.facts).map_err(store::corrupt)?;
    if signed != Signed::ByKey && !asked.is_some_and(|asked| asked.contract_accepts) {
        let told = format!("it is not {}'s over deal {}", purchase.terms.seller, purchase.deal);
        return Err(Refusal::from(model::Refusal::InvalidSignature(told)).into());
    }
    purchase.signature = Some(signature);
    chain::refold(on, &mut purchase, accepted.received_at).await
}

async fn withdraw(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let mut purchase = known(on, &accepted.record).await?;
    let declines = purchase.seller == accepted.record.account() && purchase.said == Status::Offered;
    let by = if declines { Step::Decline } else { Step::Withdraw };
    purchase.said = stepped(purchase.position.status, by)?;
    chain::refold(on, &mut purchase, accepted.received_at).await
}
