//! What everybody reads of whoever a jury ruled against, on both engines.

use super::{
    juries::{closes, jurors, seats},
    *,
};
use crate::{
    governance::tests::{ballot, join},
    records::{Device, Stamp},
    reputation::{
        loss::{self, Loss, Ruled},
        model::WalletDid,
        status::{Entry, Purpose},
    },
};

/// The lost disputes of a person: how many count, and to how many points all credentials come.
async fn lost(hub: &TestHub, who: &Person) -> (u64, u64) {
    let told = hub.get(&format!("/v1/reputation/{}", WalletDid(who.wallet_id()))).await.body;
    let terms = told["score"]["terms"].as_array().unwrap();
    let term = terms.iter().find(|term| term["kind"] == "DisputeLostCredential").unwrap();
    (term["count"].as_u64().unwrap(), told["score"]["points"].as_u64().unwrap())
}

async fn credentials(hub: &TestHub, who: &Person) -> Vec<Value> {
    let path = format!("/v1/credentials?subject={}", WalletDid(who.wallet_id()));
    hub.get(&path).await.body["items"].as_array().unwrap().clone()
}

/// A payment about which a jury says this: more than a mediator may give back, where it is to be given back.
async fn ruled(
    hub: &TestHub,
    people: &[Person],
    community: RecordId,
    (kind, remedy): (&str, &str),
    choice: Value,
) -> RecordId {
    let [steward, payer, payee, ..] = people else { panic!() };
    let amount = if remedy == "statement" { "10" } else { "1100" };
    let transfer = pay(hub, payer, payee, amount).await;
    let grievance = file(hub, payer, community, complaint(kind, remedy, transfer, payee)).await;
    if remedy == "statement" {
        does(hub, steward, grievance, json!("take")).await;
        does(hub, steward, grievance, json!("community_wide")).await;
    }
    let (vote, seen) = seats(hub, payer, grievance).await;
    for juror in jurors(people, &seen) {
        hub.say(&ballot(hub, juror, vote, choice.clone())).await;
    }
    closes(hub, payer, vote).await;
    until(hub, payer, grievance, "resolved").await;
    grievance
}

#[tokio::test]
async fn whoever_a_jury_ruled_against_has_lost_a_dispute() {
    for (hub, people, community) in grounds(7, &[("jury_size", "3")]).await {
        let [_, payer, payee, ..] = &people[..] else { panic!() };
        let number = |share: &str| json!({ "number": share });
        let mut count = 0;
        for (kind, remedy, choice, expected) in [
            ("trade", "reversal", number("0"), None),
            ("trade", "statement", json!("no"), None),
            ("contribution", "statement", json!("yes"), Some(Ruled::Upheld)),
            ("contribution", "reversal", number("1"), Some(Ruled::PartialAdjustment)),
            ("trade", "reversal", number("10000"), Some(Ruled::VoidTransaction)),
        ] {
            let grievance = ruled(&hub, &people, community, (kind, remedy), choice).await;
            let held = credentials(&hub, payee).await;
            if let Some(outcome) = expected {
                count += 1;
                let last = held.last().unwrap();
                assert_eq!(
                    (&last["kind"], &last["about"]),
                    (&json!("DisputeLostCredential"), &json!(grievance))
                );
                let device: Device = hub.get("/.well-known/did.json").await.body["alsoKnownAs"][0]
                    .as_str()
                    .unwrap()
                    .parse()
                    .unwrap();
                let said = loss::verify(&last["credential"], device).unwrap();
                assert_eq!(said.subject.grievance, Loss { record: grievance, community, outcome });
                assert_eq!(said.subject.id, WalletDid(payee.wallet_id()));
                let stranger = loss::verify(&last["credential"], payer.device.device());
                assert_eq!(stranger.unwrap_err().rule(), "unknown_hub");
                // Nobody else says so, nor once more.
                hub.clock.pass_ms(1);
                let again = json!({ "credential": last["credential"] });
                let again = payer.record_about(&hub, "credential@1", grievance, again);
                assert_eq!(hub.refuses(&again).await.2, "not_the_counterparty");
            }
            assert_eq!(held.len(), count, "{kind} {remedy}");
            // It is shown beside the score, and takes nothing away.
            assert_eq!(lost(&hub, payee).await, (u64::try_from(count).unwrap(), 0));
        }
        assert_eq!((lost(&hub, payer).await, credentials(&hub, payer).await.len()), ((0, 0), 0));
        sound(hub).await;
    }
}

/// Everybody reads that it was lost, and of the grievance still nothing.
#[tokio::test]
async fn a_lost_dispute_tells_nothing_of_what_was_filed() {
    for (hub, people, community) in grounds(5, &[("jury_size", "1")]).await {
        let [_, _, payee, ..] = &people[..] else { panic!() };
        let grievance =
            ruled(&hub, &people, community, ("trade", "reversal"), json!({ "number": "5000" })).await;
        let told = credentials(&hub, payee).await[0].to_string();
        for secret in ["The bed is not weeded", "Nothing was done.", "550", "1100"] {
            assert!(!told.contains(&format!("\"{secret}\"")), "{told}");
        }
        assert_eq!(hub.get(&format!("/v1/grievances/{grievance}")).await.refusal().0, 401);
        assert_eq!(hub.get(&format!("/v1/records/{grievance}")).await.refusal().0, 404);
        sound(hub).await;
    }
}

/// Who belongs to a community that not everybody may read is not told to everybody.
#[tokio::test]
async fn who_lost_in_a_closed_community_is_told_to_its_members() {
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 5_000).await {
        let (mut people, mut all) = (Vec::new(), Vec::new());
        for seed in 1..=6 {
            let person = Person::arrive(&hub, seed).await;
            all.push(Audience::Account(person.account));
            people.push(person);
        }
        let closed = people[0].draft(&hub, "community@1", json!({ "name": "Gardens" })).only_for(all);
        let community = hub.say(&closed.sign(&people[0].device).unwrap()).await;
        for person in &people[1..] {
            join(&hub, &people[0], community, person).await;
        }
        let effect = json!({ "setting": { "setting": "jury_size", "value": "1" } });
        assert_eq!(agreed(&hub, &people, community, effect).await["state"], "executed");
        ruled(&hub, &people, community, ("trade", "statement"), json!("yes")).await;
        let path = format!("/v1/credentials?subject={}", WalletDid(people[2].wallet_id()));
        assert_eq!((credentials(&hub, &people[2]).await, lost(&hub, &people[2]).await), (vec![], (0, 0)));
        let stranger = Person::arrive(&hub, 7).await.sign_in(&hub).await;
        assert_eq!(hub.get_as(&stranger, &path).await.body["items"], json!([]));
        for person in [&people[2], &people[5]] {
            let member = person.sign_in(&hub).await;
            let read = hub.get_as(&member, &path).await.body;
            assert_eq!(read["items"][0]["kind"], "DisputeLostCredential", "{read}");
        }
        sound(hub).await;
    }
}

#[test]
fn a_lost_grievance_is_of_its_hub_and_in_one_form() {
    let id = |number: u8| RecordId::of(&json!({ "number": number })).unwrap();
    let loss = Loss { record: id(1), community: id(2), outcome: Ruled::Upheld };
    let (wallet, key) = Person::keys(1);
    let about = WalletDid(crate::testing::account(wallet.address()));
    let entry = Entry::new("https://hub.example", Purpose::Revocation, 0, 7);
    let good = loss::issue(loss, about, Some(entry), &key, Stamp::from_ms(0)).unwrap();
    assert_eq!(loss::verify(&good, key.device()).unwrap().subject.grievance, loss);
    for (pointer, value, rule) in [
        ("/credentialSubject/grievance/outcome", json!("void_transaction"), "credential_proof"),
        ("/credentialSubject/grievance/outcome", json!("rejected"), "credential_form"),
        ("/credentialSubject/grievance/community", json!(id(3)), "credential_proof"),
        ("/type/1", json!("TrustedSellerCredential"), "credential_type"),
        ("/type/1", json!("SkillProviderCredential"), "credential_type"),
        ("/issuer", json!(Person::keys(2).1.device()), "credential_issuer"),
    ] {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        let refused = loss::verify(&changed, key.device()).unwrap_err().rule();
        assert!([rule, "credential_proof"].contains(&refused), "{pointer}: {refused}");
    }
}
