//! Credentials about payments in hours: over HTTP on both engines, and from the signed records alone.

use super::{
    super::{
        AccountReputationView,
        exchange::{self, Exchange, Payment},
        heading,
        issuance::{self, Configuration},
        jose::Holder,
    },
    *,
};
use crate::{
    access::Audience,
    governance::tests::join,
    grievances::tests::{complaint, does, file},
    identity::revoke_statement,
    records::{Record, RecordId},
    testing::{TestHub, says},
};

fn between(
    hub: &TestHub,
    from: &Person,
    to: &Person,
    kind: &str,
    about: Option<RecordId>,
    body: Value,
) -> Value {
    hub.clock.pass_ms(1);
    let mut draft = from.draft(hub, kind, body).only_for(vec![Audience::Account(to.account)]);
    if let Some(about) = about {
        draft = draft.about(about);
    }
    draft.sign(&from.device).unwrap()
}

fn paying(hub: &TestHub, from: &Person, to: &Person) -> Value {
    let body = json!({ "asset": "time_credit", "to": to.account, "amount": "100", "note": "weeding" });
    between(hub, from, to, "transfer@1", None, body)
}

/// A payment as those who may read it have it: its records, as they were signed.
struct Paid {
    payment: Payment,
    records: Vec<Record>,
}

async fn transferred(hub: &TestHub, from: &Person, to: &Person) -> Paid {
    let record = paying(hub, from, to);
    hub.say(&record).await;
    let record = Record::read(&record).unwrap();
    let payment = Payment::of(&record, None).unwrap();
    Paid { payment, records: vec![record, began(hub, to).await, began(hub, from).await] }
}

async fn captured(hub: &TestHub, from: &Person, to: &Person) -> Paid {
    let body = json!({
        "asset": "time_credit", "to": to.account, "amount": "100", "expires": "2026-11-21T11:00:00Z", "note": "",
    });
    let hold = between(hub, from, to, "hold@1", None, body);
    let held = hub.say(&hold).await;
    let record = between(hub, from, to, "capture@1", Some(held), json!({ "amount": "50" }));
    hub.say(&record).await;
    let (record, hold) = (Record::read(&record).unwrap(), Record::read(&hold).unwrap());
    let payment = Payment::of(&record, Some(&hold)).unwrap();
    assert_eq!(Payment::of(&record, None).unwrap_err().rule(), "credential_payment");
    assert_eq!(Payment::of(&hold, None).unwrap_err().rule(), "credential_payment");
    Paid { payment, records: vec![record, hold, began(hub, to).await, began(hub, from).await] }
}

/// The record with which somebody's account began.
async fn began(hub: &TestHub, who: &Person) -> Record {
    let record = hub.get(&format!("/v1/records/{}", who.account)).await.body;
    Record::read(&record).unwrap()
}

pub(crate) fn thanks(
    hub: &TestHub,
    by: &Person,
    exchange: Exchange,
    to: &Person,
    kind: Kind,
    entry: u32,
) -> Value {
    thanks_about(hub, by, exchange, WalletDid(to.wallet_id()), kind, entry)
}

fn thanks_about(
    hub: &TestHub,
    by: &Person,
    exchange: Exchange,
    wallet: WalletDid,
    kind: Kind,
    entry: u32,
) -> Value {
    let status = Some(Entry::new(&hub.config.public_url, Purpose::Revocation, 0, entry));
    let now = Stamp::from_ms(hub.now());
    exchange::issue(kind, exchange, wallet, status, Form::DataIntegrity, &by.device, now).unwrap()
}

pub(crate) fn handed_in(hub: &TestHub, by: &Person, payment: RecordId, credential: &Value) -> Value {
    hub.clock.pass_ms(1);
    by.record_about(hub, "credential@1", payment, json!({ "credential": credential }))
}

async fn points(hub: &TestHub, of: &Person) -> u64 {
    let score = hub.get(&format!("/v1/reputation/{}", WalletDid(of.wallet_id()))).await.body;
    score["score"]["points"].as_u64().unwrap()
}

#[test]
fn what_a_wallet_is_issued_names_the_payment() {
    let id = |n: u8| RecordId::of(&json!({ "n": n })).unwrap();
    let exchange = Exchange { payment: id(1), payer: id(2), payee: id(3) };
    let (key, hub, now) = (device(1), device(9).device(), Stamp::from_ms(START_MS));
    let about = WalletDid(account(wallet(2).address()));
    let status = Some(Entry::new("https://hub.example", Purpose::Revocation, 0, 7));
    let holder = Holder::of_device(device(4).device());
    for (kind, form) in [(Kind::SkillProvider, Form::DataIntegrity), (Kind::ReliableSharer, Form::Jose)] {
        let said = exchange::issue(kind, exchange, about, status.clone(), form, &key, now).unwrap();
        let read = heading::read(&said).unwrap();
        assert_eq!((read.kind, read.subject, &read.status), (kind, about, &status));
        let bound = issuance::bound(&read, id(4), &holder, hub, now);
        assert_eq!((bound.subject["exchange"].clone(), &bound.status), (json!(exchange), &status));
        assert_eq!((bound.kind(), bound.subject.get("deal")), (kind.name(), None));
        assert_eq!(Configuration::of(kind).len(), 2);
    }
    // No deal earns it, and no payment earns a deal's.
    let deals = exchange::issue(Kind::TrustedSeller, exchange, about, None, Form::Jose, &key, now);
    assert_eq!(deals.unwrap_err().rule(), "credential_type");
}

#[tokio::test]
async fn whoever_paid_in_hours_says_once_what_it_was_for() {
    use Kind::{ReliableSharer, SkillProvider};
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (anna, ben, cora) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let paid = [transferred(&hub, &anna, &ben).await, captured(&hub, &anna, &ben).await];
        let said = [(0, SkillProvider, 10), (0, ReliableSharer, 20), (1, SkillProvider, 22)];
        for (entry, (of, kind, points_then)) in (1..).zip(said) {
            let Paid { payment, records } = &paid[of];
            let exchange = payment.exchange;
            let about = exchange.payment;
            let good = thanks(&hub, &anna, exchange, &ben, kind, entry);
            let of_others = Exchange { payee: cora.account, ..exchange };
            for (rule, refused) in [
                // The payee praises itself, a third person praises, and the payer by a device that did not pay.
                (
                    "not_the_counterparty",
                    handed_in(&hub, &ben, about, &thanks(&hub, &ben, exchange, &ben, kind, entry)),
                ),
                ("not_the_counterparty", handed_in(&hub, &ben, about, &good)),
                (
                    "no_payment",
                    handed_in(&hub, &cora, about, &thanks(&hub, &cora, exchange, &ben, kind, entry)),
                ),
                ("no_payment", handed_in(&hub, &anna, ben.account, &good)),
                (
                    "issuer_device",
                    handed_in(&hub, &anna, about, &thanks(&hub, &ben, exchange, &ben, kind, entry)),
                ),
                (
                    "credential_payment",
                    handed_in(&hub, &anna, about, &thanks(&hub, &anna, of_others, &cora, kind, entry)),
                ),
                (
                    "credential_subject",
                    handed_in(&hub, &anna, about, &thanks(&hub, &anna, exchange, &cora, kind, entry)),
                ),
                ("credential_proof", {
                    let mut changed = good.clone();
                    changed["validFrom"] = json!("2026-11-21T09:00:00Z");
                    handed_in(&hub, &anna, about, &changed)
                }),
                ("credential_form", {
                    let named = forged(&good, &anna.device, |d| d["id"] = json!("https://example.org/1"));
                    handed_in(&hub, &anna, about, &named)
                }),
                ("credential_status", {
                    let bare = forged(&good, &anna.device, |d| {
                        d.as_object_mut().unwrap().remove("credentialStatus");
                    });
                    handed_in(&hub, &anna, about, &bare)
                }),
            ] {
                assert_eq!(hub.refuses(&refused).await.2, rule);
            }
            let id = hub.say(&handed_in(&hub, &anna, about, &good)).await;
            let again = handed_in(&hub, &anna, about, &thanks(&hub, &anna, exchange, &ben, kind, 99));
            let told = hub.refuses(&again).await;
            assert_eq!((told.0, told.2.as_str()), (409, "credential_exists"));
            assert_eq!(points(&hub, &ben).await, points_then);

            // A stranger needs the records alone, each of them.
            let shown = hub.get(&format!("/v1/credentials/{id}")).await.body;
            assert_eq!((&shown["credential"], &shown["about"]), (&good, &json!(about)));
            let verified = exchange::verify(&shown["credential"], records).unwrap();
            assert_eq!((verified.kind, verified.subject.id), (kind, WalletDid(ben.wallet_id())));
            for missing in 0..records.len() {
                let mut some = records.clone();
                some.remove(missing);
                let told = exchange::verify(&good, &some).unwrap_err();
                assert_eq!(told.rule(), "credential_payment", "without record {missing}");
            }
            for (rule, refused) in [
                ("credential_authorisation", thanks(&hub, &ben, exchange, &ben, kind, entry)),
                ("credential_authorisation", thanks(&hub, &cora, exchange, &ben, kind, entry)),
                ("credential_subject", thanks(&hub, &anna, exchange, &cora, kind, entry)),
                ("credential_payment", thanks(&hub, &anna, of_others, &cora, kind, entry)),
                ("credential_issuer", forged(&good, &ben.device, |_| {})),
            ] {
                assert_eq!(exchange::verify(&refused, records).unwrap_err().rule(), rule);
            }
        }
        // Somebody's own record with the author of another: no wallet let its device speak for her.
        let body = json!({ "asset": "time_credit", "to": ben.account, "amount": "100", "note": "" });
        let faked = anna.draft(&hub, "transfer@1", body).only_for(vec![Audience::Account(ben.account)]);
        let faked = Record::read(&faked.sign(&cora.device).unwrap()).unwrap();
        let exchange = Payment::of(&faked, None).unwrap().exchange;
        let untrue = thanks(&hub, &cora, exchange, &ben, Kind::SkillProvider, 50);
        let records = [faked, began(&hub, &ben).await, began(&hub, &anna).await];
        assert_eq!(exchange::verify(&untrue, &records).unwrap_err().rule(), "credential_authorisation");
        hub.end().await;
    }
}

#[tokio::test]
async fn what_is_given_back_earns_nothing_and_what_was_said_of_it_falls() {
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (anna, ben, cora) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let community = hub.say(&cora.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        for person in [&anna, &ben] {
            join(&hub, &cora, community, person).await;
        }
        let Paid { payment, .. } = transferred(&hub, &anna, &ben).await;
        let (exchange, about) = (payment.exchange, payment.exchange.payment);
        let skill = thanks(&hub, &anna, exchange, &ben, Kind::SkillProvider, 1);
        let said = hub.say(&handed_in(&hub, &anna, about, &skill)).await;
        assert_eq!(points(&hub, &ben).await, 10);

        let grievance = file(&hub, &anna, community, complaint("trade", "reversal", about, &ben)).await;
        does(&hub, &cora, grievance, json!("take")).await;
        let void = json!({ "propose": { "outcome": "void_transaction", "reason": "" } });
        let proposal = does(&hub, &cora, grievance, void).await;
        for party in [&anna, &ben] {
            does(&hub, party, grievance, json!({ "accept": { "proposal": proposal } })).await;
        }
        let shown = hub.get(&format!("/v1/credentials/{said}")).await.body;
        let by = shown["revoked"].as_str().unwrap();
        let record = hub.get(&format!("/v1/records/{by}")).await.body;
        assert_eq!(record["body"]["reason"], json!(format!("grievance {grievance}")));
        assert_eq!(points(&hub, &ben).await, 0);
        let help = thanks(&hub, &anna, exchange, &ben, Kind::ReliableSharer, 2);
        let told = hub.refuses(&handed_in(&hub, &anna, about, &help)).await;
        assert_eq!((told.0, told.2.as_str()), (409, "payment_reversed"));
        assert_eq!(crate::verify_ledger(&hub.config).await.unwrap().faults, 0);
        hub.end().await;
    }
}

/// The score of somebody's account, and what each of its wallets brings to it.
async fn of_account(hub: &TestHub, who: &Person) -> (u64, Vec<(WalletDid, u64)>) {
    let answer = hub.get(&format!("/v1/accounts/{}/reputation", who.account)).await;
    let view: AccountReputationView = serde_json::from_value(answer.body).unwrap();
    assert_eq!(view.account, who.account);
    (view.score.points, view.wallets.iter().map(|one| (one.subject, one.brings.points)).collect())
}

#[tokio::test]
async fn the_score_of_an_account_is_of_the_wallets_that_it_has() {
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (anna, ben, cora) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let joins = Person::keys(4).0;
        hub.clock.pass_ms(1);
        hub.say(&ben.record(&hub, "wallet@1", ben.joining(&hub, &joins).await)).await;
        let [first, second] = [ben.wallet_id(), account(joins.address())].map(WalletDid);
        let mut said = Vec::new();
        for (entry, (by, wallet)) in (1..).zip([(&anna, first), (&anna, second), (&cora, second)]) {
            let exchange = transferred(&hub, by, &ben).await.payment.exchange;
            let good = thanks_about(&hub, by, exchange, wallet, Kind::SkillProvider, entry);
            said.push(hub.say(&handed_in(&hub, by, exchange.payment, &good)).await);
        }
        // Apart the wallets have 10 and 20; Anna, who speaks of both, counts once, and a little again.
        for (wallet, points) in [(first, 10), (second, 20)] {
            let told = hub.get(&format!("/v1/reputation/{wallet}")).await.body;
            assert_eq!(told["score"]["points"], points);
        }
        assert_eq!(of_account(&hub, &ben).await, (22, vec![(first, 10), (second, 12)]));
        let nobody = hub.get(&format!("/v1/accounts/{}/reputation", said[0])).await;
        assert_eq!(nobody.refusal().0, 404);
        hub.clock.pass_ms(1);
        hub.say(&anna.record_about(&hub, "revocation@1", said[0], json!({ "reason": "" }))).await;
        assert_eq!(of_account(&hub, &ben).await, (20, vec![(first, 0), (second, 20)]));
        // A wallet takes along what is said of it, but for what its new account has said itself.
        let WalletDid(goes) = second;
        let by = says(&hub, &ben.wallet, revoke_statement(&ben.account, &goes)).await;
        let gone = json!({ "revoke": { "wallet": goes, "by": by } });
        hub.say(&ben.record(&hub, "wallet@1", gone)).await;
        assert_eq!(of_account(&hub, &ben).await, (0, vec![(first, 0)]));
        hub.clock.pass_ms(1);
        hub.say(&cora.record(&hub, "wallet@1", cora.joining(&hub, &joins).await)).await;
        assert_eq!(of_account(&hub, &cora).await, (10, vec![(WalletDid(cora.wallet_id()), 0), (second, 10)]));
        hub.end().await;
    }
}
