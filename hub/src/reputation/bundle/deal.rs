//! A deal: terms and agreement by their hashes, where the events put it, each ballot by the wallet of its seat, the ruling counted
//! again, each credential.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{
    arbitration::Ballots,
    chain::{Signed, ballot_signature, deal_id, terms_signature},
    terms::Terms,
    wire::feed::{ChainEvent, FeedEntry, Finality},
};

use super::{File, Found};
use crate::{
    deals::{
        model::{AcceptanceBody, PurchaseBody, agreement_hash},
        position,
        status::Status,
    },
    disputes::{
        case::{self, Case},
        model::{BallotBody, EvidenceBody},
    },
    records::{Device, Record, RecordId},
    reputation::model::{self, Facts},
};

/// Everything that holds of a deal or does not.
pub(super) fn check(file: &File<'_>, found: &mut Found) {
    let File { records, hub, .. } = *file;
    let about = records.first().is_some_and(|first| first.id == file.extract.about);
    let ids: BTreeSet<RecordId> = records.iter().map(|record| record.id).collect();
    let of_it = records.iter().skip(1).all(|record| record.about.is_some_and(|about| ids.contains(&about)));
    found.says("about", about && of_it, format!("all of it is about {}", file.extract.about));
    let Some(purchase) = records.first().filter(|record| record.kind == "purchase@1") else {
        return found.says("purchase", false, "the first record must be purchase@1");
    };
    let Ok(PurchaseBody { terms, agreement }) = purchase.body_as() else {
        return found.says("purchase", false, "its body is not that of a purchase@1");
    };
    match deal_id(&terms) {
        Ok(deal) => found.says("terms", true, format!("the deal's id is their hash, {deal}")),
        Err(error) => found.says("terms", false, error.to_string()),
    }
    let agreed = agreement_hash(&agreement).is_ok_and(|hash| hash == terms.agreement);
    found.says(
        "agreement",
        agreed,
        format!("the terms name {}, its SHA-256 in canonical form", terms.agreement),
    );
    let events = events(records, hub, found);
    accepted(records, &terms, found);
    let deal = deal_id(&terms).ok();
    let own: Vec<&ChainEvent> =
        events.iter().map(|entry| &entry.event).filter(|event| event.body.deal() == deal).collect();
    let (position, gap) = position::fold(Status::Created, &terms, own.iter().copied());
    match gap {
        Some(gap) => found.says("outcome", false, gap.to_string()),
        None => {
            let share = position.seller_share_bps(terms.amount);
            let share =
                share.map_or_else(String::new, |share| format!(", seller's share {share} basis points"));
            found.says(
                "outcome",
                true,
                format!("by the events it is {}{share}", position.settled().status.as_str()),
            );
        }
    }
    found.open(
        "chain",
        "that the chain says what the hub's records of its events say: earnest verify credential --rpc",
    );
    evidence(records, found);
    if let Some(disputed_at) = position.disputed_at {
        let (case, out_of_order) = case::fold(&terms, disputed_at, own);
        match out_of_order {
            Some((event, refused)) => found.says("case", false, format!("event {event}: {refused}")),
            None => ruling(&case, records, &terms, found),
        }
    }
    credentials(file, &events, &terms, found);
}

/// The final events that the hub's records tell, in the order in which its feed told them.
fn events(records: &[Record], hub: Device, found: &mut Found) -> Vec<FeedEntry> {
    let (mut events, mut known) = (Vec::new(), BTreeSet::new());
    for record in records.iter().filter(|record| record.kind == "chain-event@1") {
        match record.body_as::<FeedEntry>() {
            Ok(entry) if record.device == hub && entry.finality == Finality::Final => {
                if known.insert(entry.event.id) {
                    events.push(entry);
                }
            }
            Ok(_) => found.says(format!("record {}", record.id), false, "not a final event told by the hub"),
            Err(refusal) => found.says(format!("record {}", record.id), false, refusal.to_string()),
        }
    }
    events.sort_by_key(|entry| entry.seq);
    events
}

/// Whether the seller's wallet signed the terms; the buyer's word on them is that it funded the deal.
fn accepted(records: &[Record], terms: &Terms, found: &mut Found) {
    for record in records.iter().filter(|record| record.kind == "acceptance@1") {
        let signature = record.body_as::<AcceptanceBody>().map(|body| body.signature);
        match signature.map(|signature| terms_signature(terms, &signature)) {
            Ok(Ok(Signed::ByKey)) => found.says("acceptance", true, "the seller's key signed the terms"),
            Ok(Ok(Signed::AskContract(_))) => {
                found.open(
                    "acceptance",
                    "that the seller's contract wallet accepts the signature: its chain knows",
                );
            }
            Ok(Err(error)) => found.says("acceptance", false, error.to_string()),
            Err(refusal) => found.says("acceptance", false, refusal.to_string()),
        }
    }
    found.open(
        "authors",
        "that each device speaks for the account that a record names: the hub admitted it; wallets signed terms, ballots and \
         the authority of credentials",
    );
}

fn evidence(records: &[Record], found: &mut Found) {
    for record in records.iter().filter(|record| record.kind == "evidence@1") {
        match record.body_as::<EvidenceBody>() {
            Ok(body) => found.open(
                format!("evidence {}", body.hash),
                "signed by its author; compare its hash with the file that you were given",
            ),
            Err(refusal) => found.says(format!("record {}", record.id), false, refusal.to_string()),
        }
    }
}

/// Counts the ballots again.
fn ruling(case: &Case, records: &[Record], terms: &Terms, found: &mut Found) {
    let Ok(deal) = deal_id(terms) else { return };
    let mut signed: BTreeMap<(u8, u8), BTreeMap<u8, u16>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.kind == "ballot@1") {
        let name = format!("ballot {}", record.id);
        let Ok(body) = record.body_as::<BallotBody>() else {
            found.says(name, false, "its body is not that of a ballot@1");
            continue;
        };
        // A ballot is bound to its jury, so that only the one that it was signed for has it.
        let of = case.juries.iter().filter(|jury| jury.jury == body.jury).find(|jury| {
            let seat = jury.seats.get(usize::from(body.seat));
            seat.zip(jury.id(deal, terms)).is_some_and(|(juror, id)| {
                ballot_signature(terms.arbiter, id, body.share, body.reason_hash(), *juror, &body.signature)
                    .is_ok()
            })
        });
        match of {
            Some(jury) => {
                signed.entry((jury.instance, jury.jury)).or_default().insert(body.seat, body.share);
                let told = format!(
                    "jury {} of instance {}, seat {}: {}",
                    jury.jury, jury.instance, body.seat, body.share
                );
                found.says(name, true, told);
            }
            None => found.says(name, false, "not signed by the wallet of its seat"),
        }
    }
    for ruling in &case.rulings {
        let name = format!("ruling of instance {}", ruling.instance);
        let jury =
            case.juries.iter().find(|jury| (jury.instance, jury.jury) == (ruling.instance, ruling.jury));
        let ballots = signed.get(&(ruling.instance, ruling.jury)).cloned().unwrap_or_default();
        // By the ballots in the file; where they are not enough, with what the chain counted, as the hub's records tell it.
        let counted = jury.filter(|jury| jury.size() > 0).and_then(|jury| {
            // What a juror cast on the chain is final, whatever it signed besides.
            let cast = jury.cast.iter().fold(Ballots::default(), |word, (seat, cast)| {
                word.with_cast(*seat, cast.share, jury.size()).unwrap_or(word)
            });
            let alone = ballots.iter().fold(cast, |word, (seat, share)| {
                word.with_signed(*seat, *share, jury.size()).unwrap_or(word)
            });
            alone.bounds(jury.size()).ruling().or_else(|| jury.bounds(ballots).ruling())
        });
        match counted {
            Some(share) => {
                let told =
                    format!("the ballots come to {share} basis points, the ruling is {}", ruling.share);
                found.says(name, share == ruling.share, told);
            }
            None => found.open(name, format!("{}: the ballots at hand do not determine it", ruling.share)),
        }
    }
    found.open(
        "jury",
        "that the jurors were drawn from the pool's list by the chain's randomness: the chain shows it",
    );
}

fn credentials(file: &File<'_>, events: &[FeedEntry], terms: &Terms, found: &mut Found) {
    let facts = Facts {
        events,
        escrows: std::slice::from_ref(&terms.escrow),
        contract_wallet: None,
        hub: Some(file.hub),
    };
    for record in file.records.iter().filter(|record| record.kind == "credential@1") {
        let name = format!("credential {}", record.id);
        let Some(credential) = record.body.get("credential") else {
            found.says(name, false, "the record has none");
            continue;
        };
        let asks =
            model::read(credential).ok().and_then(|(read, _)| model::wallet_question(&read).ok().flatten());
        let verified = match (model::verify(credential, &facts), asks) {
            (Err(_), Some((wallet, ..))) => {
                let answered = Facts { contract_wallet: Some(true), ..facts };
                found.open(
                    &name,
                    format!("that the contract wallet {wallet} accepts the signature: its chain knows"),
                );
                model::verify(credential, &answered)
            }
            (verified, _) => verified,
        };
        let verified = match verified {
            Ok(verified) => verified,
            Err(refusal) => {
                found.says(name, false, format!("{}: {refusal}", refusal.rule()));
                continue;
            }
        };
        found.says(&name, true, format!("{} about {}", verified.kind.name(), verified.subject));
        file.standing(record, verified.status.as_ref(), found);
    }
    file.since(found);
}
