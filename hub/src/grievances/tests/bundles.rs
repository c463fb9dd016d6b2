//! A grievance that was decided, checked from one file, on both engines, by this program and by the client of `tests/ethers`, which has no code
//! of it.

use std::process::Command;

use alloy::primitives::B256;

use super::{
    juries::{closes, jurors, seats},
    *,
};
use crate::{
    Hub,
    access::{Reader, Role},
    governance::tests::{asked as proposed, ballot},
    grievances::{
        jury::lot,
        model::{Ending, Heard, Outcome},
        told,
    },
    records::{Device, DeviceKey, Stamp},
    reputation::{
        bundle::{Bundle, Check, Extract, Verdict, check},
        exchange::Exchange,
        model::Kind,
        tests::{handed_in, thanks},
    },
};

async fn device_of(hub: &TestHub) -> Device {
    let document = hub.get("/.well-known/did.json").await.body;
    document["alsoKnownAs"][0].as_str().unwrap().parse().unwrap()
}

async fn asked(hub: &TestHub, who: &Person, grievance: RecordId) -> Answer {
    let token = who.sign_in(hub).await;
    hub.get_as(&token, &format!("/v1/grievances/{grievance}/bundle")).await
}

async fn bundle(hub: &TestHub, who: &Person, grievance: RecordId) -> Bundle {
    let answer = asked(hub, who, grievance).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_value(answer.body).unwrap()
}

fn failed(checks: &[Check]) -> Vec<&str> {
    let failed = checks.iter().filter(|one| one.verdict == Verdict::Fails);
    failed.map(|one| one.check.split(' ').next().unwrap()).collect()
}

fn named<'a>(checks: &'a [Check], name: &str) -> Vec<&'a Check> {
    checks.iter().filter(|one| one.check.split(' ').next() == Some(name)).collect()
}

fn verdict(checks: &[Check], name: &str) -> Verdict {
    named(checks, name).first().unwrap_or_else(|| panic!("no {name} in {checks:?}")).verdict
}

/// What a hub signs that tells something else than the records.
fn forged(good: &Bundle, key: &DeviceKey, change: impl Fn(&mut Extract)) -> Bundle {
    let mut extract: Extract = serde_json::from_value(good.log.clone()).unwrap();
    change(&mut extract);
    Bundle { log: extract.sign(key).unwrap(), ..good.clone() }
}

/// A file that a hub makes without one of the records.
fn without(good: &Bundle, key: &DeviceKey, at: usize) -> Bundle {
    let mut left = forged(good, key, |extract| {
        extract.entries.remove(at);
    });
    left.records.remove(at);
    left.log_proof.paths.remove(at);
    left
}

/// What the client of `tests/ethers` ends with, and what it prints.
fn by_hand(bundle: &Bundle, hub: Device) -> (Option<i32>, Value) {
    const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/ethers/grievance.mjs");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_vec(bundle).unwrap()).unwrap();
    let ran =
        Command::new("node").arg(CLIENT).arg(file.path()).arg(hub.to_string()).output().expect("node runs");
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    (ran.status.code(), serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{told}")))
}

/// Sees that a file holds for both, and that what its records come to is what the hub says.
fn both_hold(bundle: &Bundle, hub: Device) -> Vec<Check> {
    let checks = check(bundle, hub);
    assert_eq!(failed(&checks), [""; 0], "{checks:?}");
    let (code, found) = by_hand(bundle, hub);
    assert_eq!((code, &found["faults"]), (Some(0), &json!([])), "{found}");
    let records =
        if verdict(&checks, "resolution") == Verdict::Holds { "its records" } else { "the hub's word" };
    assert_eq!((&found["by"], &found["outcome"]), (&json!(records), &bundle.log["grievance"]["outcome"]));
    checks
}

/// Which checks fail of a file that says something else than was said, which the other client ends with 3 for.
fn both_fail(bundle: &Bundle, hub: Device) -> Vec<Check> {
    let checks = check(bundle, hub);
    assert_ne!(failed(&checks), [""; 0], "{checks:?}");
    let (code, found) = by_hand(bundle, hub);
    assert_eq!(code, Some(3), "{checks:?}: {found}");
    checks
}

/// Sees that the file that a party has, where there is one, holds to its end.
pub(super) async fn holds(hub: &TestHub, party: &Person, grievance: RecordId) {
    let answer = asked(hub, party, grievance).await;
    if answer.status != 200 {
        assert_eq!(answer.refusal().2, "not_decided");
        return;
    }
    let checks = both_hold(&serde_json::from_value(answer.body).unwrap(), device_of(hub).await);
    assert_eq!(verdict(&checks, "resolution"), Verdict::Holds);
}

fn share(share: &str) -> Value {
    json!({ "number": share })
}

/// How many ballots the first juror of [`ruled`] has cast before the one that counts.
const THOUGHTS: i64 = 15;

/// Above mediation, with one who steps aside and a file as evidence; two of three vote, and all is given back.
async fn ruled(hub: &TestHub, people: &[Person], community: RecordId) -> (RecordId, Vec<RecordId>) {
    let [_, payer, payee, ..] = people else { panic!() };
    let transfer = pay(hub, payer, payee, "2000").await;
    let grievance = file(hub, payer, community, complaint("trade", "reversal", transfer, payee)).await;
    let photo =
        json!({ "evidence": { "text": "", "uri": "https://example.org/bed", "sha256": "ab".repeat(32) } });
    does(hub, payee, grievance, photo).await;
    let first = shown(hub, payer, grievance).await;
    does(hub, jurors(people, &first)[0], grievance, json!({ "conflict": { "reason": "" } })).await;
    let (vote, seen) = seats(hub, payer, grievance).await;
    let sits = jurors(people, &seen);
    // One thinks again, and again.
    for _ in 0..THOUGHTS {
        hub.say(&ballot(hub, sits[0], vote, share("0"))).await;
    }
    for juror in &sits[..2] {
        hub.say(&ballot(hub, juror, vote, share("10000"))).await;
    }
    assert_eq!(asked(hub, payer, grievance).await.refusal().2, "not_decided");
    closes(hub, payer, vote).await;
    until(hub, payer, grievance, "resolved").await;
    (grievance, sits.iter().map(|juror| juror.account).collect())
}

#[tokio::test]
async fn a_grievance_that_was_ruled_is_checked_from_one_file() {
    for (hub, people, community) in grounds(8, &[("jury_size", "3")]).await {
        let [_, payer, payee, ..] = &people[..] else { panic!() };
        let (grievance, sits) = ruled(&hub, &people, community).await;
        let trusted = device_of(&hub).await;
        let good = bundle(&hub, payer, grievance).await;
        let checks = both_hold(&good, trusted);
        for name in ["log", "inclusion", "grievance", "about", "payment", "tally", "resolution"] {
            assert_eq!(verdict(&checks, name), Verdict::Holds, "{name}");
        }
        assert_eq!((named(&checks, "draw").len(), named(&checks, "ballot").len()), (2, 2));
        // The hub's word on who has lost is there, and where it stands.
        assert!(named(&checks, "credential")[0].detail.starts_with("DisputeLostCredential"));
        assert!(named(&checks, "status")[0].detail.starts_with("not revoked"));
        for name in ["evidence", "jury", "effect", "completeness", "since"] {
            assert_eq!(verdict(&checks, name), Verdict::Unknown, "{name}");
        }
        assert_eq!(failed(&both_fail(&good, payer.device.device())), ["log"]);
        // Who judged has not read what was paid, and the file says so.
        let juror = people.iter().find(|one| sits.contains(&one.account)).unwrap();
        let theirs = both_hold(&bundle(&hub, juror, grievance).await, trusted);
        assert_eq!(verdict(&theirs, "payment"), Verdict::Unknown);
        assert_eq!(verdict(&theirs, "resolution"), Verdict::Holds);
        both_hold(&bundle(&hub, payee, grievance).await, trusted);
        // Whoever has no part in it, or no more.
        let first = people.iter().filter(|one| ![payer.account, payee.account].contains(&one.account));
        for other in first.filter(|one| !sits.contains(&one.account)) {
            assert_eq!(asked(&hub, other, grievance).await.refusal().0, 404);
        }
        assert_eq!(hub.get(&format!("/v1/grievances/{grievance}/bundle")).await.refusal().0, 401);
        sound(hub).await;
    }
}

/// The ballots that count nothing take no place from what comes after them.
#[tokio::test]
async fn who_votes_often_makes_no_file_longer() {
    for (hub, people, community) in grounds(8, &[("jury_size", "3")]).await {
        let (grievance, _) = ruled(&hub, &people, community).await;
        let good = bundle(&hub, &people[1], grievance).await;
        let ballots = good.records.iter().filter(|record| record["type"] == "vote@1");
        assert_eq!(ballots.count(), 2);
        let other = Hub::existing(hub.config.clone(), hub.clock.clone()).await.unwrap();
        let payer = Reader { account: Some(people[1].account), roles: [(community, Role::Member)].into() };
        let mut on = other.db.reader().acquire().await.unwrap();
        let (_, records) = told(&mut on, &payer, grievance, (other.account, THOUGHTS)).await.unwrap();
        let records: Vec<Value> = records.iter().map(|one| json!(one.record)).collect();
        assert_eq!(records, good.records);
        drop(on);
        other.db.close().await;
        sound(hub).await;
    }
}

/// Neither about the grievance, nor about what was paid, nor about its vote, by records that an earlier hub took.
#[tokio::test]
async fn a_stranger_has_no_word_in_the_file_of_a_grievance() {
    for (hub, people, community) in grounds(8, &[("jury_size", "3")]).await {
        let payer = &people[1];
        let (grievance, _) = ruled(&hub, &people, community).await;
        let good = bundle(&hub, payer, grievance).await;
        let said = |kind: &str| good.records.iter().find(|record| record["type"] == kind).unwrap();
        let id = |kind: &str| said(kind)["id"].as_str().unwrap().parse::<RecordId>().unwrap();
        let (transfer, vote) = (id("transfer@1"), id("proposal@1"));
        let (stranger, puppet) = (Person::arrive(&hub, 100).await, Person::arrive(&hub, 101).await);
        // Entries of the list that the hub has not drawn for its own word.
        let drawn = &said("credential@1")["body"]["credential"]["credentialStatus"]["statusListIndex"];
        let drawn: u32 = drawn.as_str().unwrap().parse().unwrap();
        for (free, about) in [(drawn ^ 1, grievance), (drawn ^ 2, transfer)] {
            hub.clock.pass_ms(1);
            let pays = json!({ "asset": "time_credit", "to": puppet.account, "amount": "1", "note": "" });
            let pays = stranger.draft(&hub, "transfer@1", pays).about(about);
            let pays = pays.only_for(vec![Audience::Account(puppet.account)]);
            let payment = hub.took_before(&pays.sign(&stranger.device).unwrap()).await;
            let exchange = Exchange { payment, payer: stranger.account, payee: puppet.account };
            let thanked = thanks(&hub, &stranger, exchange, &puppet, Kind::SkillProvider, free);
            hub.say(&handed_in(&hub, &stranger, payment, &thanked)).await;
        }
        let cellar = stranger.record_about(&hub, "community@1", vote, json!({ "name": "Cellar" }));
        let cellar = hub.took_before(&cellar).await;
        let secret = stranger.draft(&hub, "proposal@1", proposed(&hub, json!("text"))).about(cellar);
        let secret = secret.only_for(vec![Audience::Community(cellar)]);
        hub.say(&secret.sign(&stranger.device).unwrap()).await;
        let after = bundle(&hub, payer, grievance).await;
        assert_eq!(after.records, good.records);
        both_hold(&after, device_of(&hub).await);
        sound(hub).await;
    }
}

#[tokio::test]
async fn whatever_is_changed_in_a_grievances_file_is_named() {
    for (hub, people, community) in grounds(8, &[("jury_size", "3")]).await {
        let [_, payer, payee, ..] = &people[..] else { panic!() };
        let (grievance, jurors) = ruled(&hub, &people, community).await;
        let trusted = device_of(&hub).await;
        let good = bundle(&hub, payer, grievance).await;
        // By whoever has the file.
        for at in 0..good.records.len() {
            let mut changed = good.clone();
            changed.records[at]["created"] = json!("2026-11-21T10:00:00.001Z");
            assert_eq!(failed(&check(&changed, trusted))[..2], ["record", "log"], "record {at}");
            let mut left = good.clone();
            left.records.remove(at);
            assert_eq!(failed(&check(&left, trusted))[0], "log", "without record {at}");
            let mut off = good.clone();
            off.log_proof.paths[at][0].0[0] ^= 1;
            assert_eq!(failed(&check(&off, trusted)), ["inclusion"], "path {at}");
        }
        for (pointer, value) in [
            ("/made", json!("2027-01-01T00:00:00Z")),
            ("/grievance/outcome", json!("rejected")),
            ("/grievance/draws/0/entropy", json!(B256::ZERO)),
            ("/grievance/paid/amount", json!("1")),
        ] {
            let mut changed = good.clone();
            *changed.log.pointer_mut(pointer).unwrap() = value;
            assert_eq!(failed(&both_fail(&changed, trusted)), ["log"], "{pointer}");
        }
        // By the hub itself, whose word on everything else is taken.
        let other = Hub::existing(hub.config.clone(), hub.clock.clone()).await.unwrap();
        let key: &DeviceKey = &other.key;
        assert_eq!(failed(&check(&forged(&good, key, |_| {}), trusted)), [""; 0]);
        let lie = |change: fn(&mut Heard)| {
            let told = forged(&good, key, |extract| change(extract.grievance.as_mut().unwrap()));
            failed(&both_fail(&told, trusted))[0].to_owned()
        };
        assert_eq!(lie(|heard| heard.outcome = Outcome::Rejected), "resolution");
        assert_eq!(lie(|heard| heard.outcome = Outcome::PartialAdjustment { amount: 1 }), "resolution");
        assert_eq!(lie(|heard| heard.ending = Ending::Settled), "resolution");
        assert_eq!(lie(|heard| heard.at = Stamp::from_ms(heard.at.ms() + 1)), "resolution");
        assert_eq!(lie(|heard| heard.paid.as_mut().unwrap().amount = 1), "payment");
        let other_word = forged(&good, key, |extract| {
            extract.grievance.as_mut().unwrap().outcome = Outcome::Rejected;
        });
        assert_eq!(failed(&both_fail(&other_word, trusted)), ["resolution", "credential"]);
        let mut lists = good.clone();
        lists.status_lists[0]["validFrom"] = json!("2026-11-21T09:59:59Z");
        assert_eq!(failed(&both_fail(&lists, trusted)), ["status"]);
        // A jury that gives back of nothing has not decided, and no other one was drawn.
        assert_eq!(lie(|heard| heard.paid = None), "draw");
        assert_eq!(lie(|heard| heard.draws[0].entropy = B256::ZERO), "draw");
        assert_eq!(lie(|heard| heard.draws[0].jurors.swap(0, 1)), "draw");
        assert_eq!(
            lie(|heard| {
                heard.draws[1].lots.pop();
                heard.draws[1].jurors.pop();
            }),
            "draw"
        );
        assert_eq!(lie(|heard| heard.draws[1].seq += 1), "draw");
        assert_eq!(lie(|heard| drop(heard.draws.pop())), "draw");
        assert_eq!(lie(|heard| heard.draws.push(heard.draws[0].clone())), "draw");
        // The payee on the jury, by the right lots.
        let judges = forged(&good, key, |extract| {
            let drawn = &mut extract.grievance.as_mut().unwrap().draws[0];
            let theirs = lot(drawn.entropy.0, &payee.account);
            (drawn.places, drawn.lots, drawn.jurors) = (1, vec![theirs], vec![payee.account]);
        });
        let checks = both_fail(&judges, trusted);
        assert!(named(&checks, "draw")[0].detail.contains("has a part in the grievance"), "{checks:?}");
        // Two in the place of one who stepped aside, by the right lots.
        let two = forged(&good, key, |extract| {
            let drawn = &mut extract.grievance.as_mut().unwrap().draws[1];
            let entropy = drawn.entropy.0;
            let of = |theirs: &B256| {
                people.iter().find(|one| lot(entropy, &one.account) == *theirs).unwrap().account
            };
            drawn.jurors = drawn.lots.iter().take(2).map(of).collect();
            drawn.places = 2;
        });
        let checks = both_fail(&two, trusted);
        assert!(checks.iter().any(|one| one.detail == "it is for 2 places, and may be for 1"), "{checks:?}");
        // A juror once more, in the place of who stepped aside.
        let twice = forged(&good, key, |extract| {
            let draws = &mut extract.grievance.as_mut().unwrap().draws;
            let sits = draws[0].jurors.iter().find(|juror| jurors.contains(juror)).copied().unwrap();
            (draws[1].lots, draws[1].jurors) = (vec![lot(draws[1].entropy.0, &sits)], vec![sits]);
        });
        let checks = both_fail(&twice, trusted);
        assert!(checks.iter().any(|one| one.detail.ends_with("sits already")), "{checks:?}");
        // What is left out, where it decides anything: what was shown does not.
        for (at, record) in good.records.iter().enumerate() {
            let expected = match record["type"].as_str().unwrap() {
                "grievance@1" => "grievance",
                "grievance-step@1" if record["body"]["step"].get("conflict").is_some() => "draw",
                "grievance-timeout@1" => "vote",
                "proposal@1" => "about",
                "tally@1" => "resolution",
                "vote@1" => "tally",
                _ => "nothing",
            };
            let checks = check(&without(&good, key, at), trusted);
            let first = failed(&checks).first().copied().unwrap_or("nothing");
            assert_eq!(first, expected, "without {record}: {checks:?}");
        }
        other.db.close().await;
        sound(hub).await;
    }
}

/// A jury that did not decide is followed by another, and each is counted again by whoever may read its vote.
#[tokio::test]
async fn each_jury_of_a_grievance_is_counted_again() {
    for (hub, people, community) in grounds(9, &[("jury_size", "2")]).await {
        let [_, payer, payee, ..] = &people[..] else { panic!() };
        let transfer = pay(&hub, payer, payee, "2000").await;
        let body = complaint("contribution", "reversal", transfer, payee);
        let grievance = file(&hub, payer, community, body).await;
        let (vote, _) = seats(&hub, payer, grievance).await;
        closes(&hub, payer, vote).await;
        until(&hub, payer, grievance, "escalated").await;
        let (vote, seen) = seats(&hub, payer, grievance).await;
        let sits = jurors(&people, &seen);
        hub.say(&ballot(&hub, sits[0], vote, share("2500"))).await;
        closes(&hub, payer, vote).await;
        until(&hub, payer, grievance, "resolved").await;
        let trusted = device_of(&hub).await;
        for party in [payer, payee] {
            let checks = both_hold(&bundle(&hub, party, grievance).await, trusted);
            assert_eq!((named(&checks, "draw").len(), named(&checks, "tally").len()), (2, 2));
            assert_eq!(verdict(&checks, "resolution"), Verdict::Holds);
        }
        for juror in sits {
            let checks = both_hold(&bundle(&hub, juror, grievance).await, trusted);
            assert_eq!(verdict(&checks, "resolution"), Verdict::Holds);
        }
        // Who sat on the first jury alone is told of no ballot of the second.
        for person in &people {
            let answer = asked(&hub, person, grievance).await;
            if answer.status == 404 {
                continue;
            }
            let checks = both_hold(&serde_json::from_value(answer.body).unwrap(), trusted);
            let judged =
                json!(person.account) == seen["jurors"][0] || json!(person.account) == seen["jurors"][1];
            let party = [payer.account, payee.account].contains(&person.account);
            let expected = if judged || party { Verdict::Holds } else { Verdict::Unknown };
            assert_eq!(verdict(&checks, "resolution"), expected);
        }
        sound(hub).await;
    }
}

#[tokio::test]
async fn what_the_parties_settled_is_checked_from_one_file() {
    for (hub, people, community) in grounds(3, &[]).await {
        let [steward, payer, payee] = &people[..] else { panic!() };
        let transfer = pay(&hub, payer, payee, "150").await;
        let grievance = file(&hub, payer, community, complaint("trade", "reversal", transfer, payee)).await;
        does(&hub, steward, grievance, json!("take")).await;
        let part = json!({ "partial_adjustment": { "amount": "75" } });
        let part = json!({ "propose": { "outcome": part, "reason": "Half is done." } });
        let proposal = does(&hub, steward, grievance, part).await;
        for party in [payer, payee] {
            assert_eq!(asked(&hub, party, grievance).await.refusal().2, "not_decided");
            does(&hub, party, grievance, json!({ "accept": { "proposal": proposal } })).await;
        }
        let trusted = device_of(&hub).await;
        for reader in [payer, payee, steward] {
            let checks = both_hold(&bundle(&hub, reader, grievance).await, trusted);
            assert_eq!(verdict(&checks, "resolution"), Verdict::Holds);
            assert!(named(&checks, "draw").is_empty() && named(&checks, "jury").is_empty());
        }
        let good = bundle(&hub, payer, grievance).await;
        let other = Hub::existing(hub.config.clone(), hub.clock.clone()).await.unwrap();
        let twice = forged(&good, &other.key, |extract| {
            extract.grievance.as_mut().unwrap().outcome = Outcome::VoidTransaction;
        });
        assert_eq!(failed(&both_fail(&twice, trusted)), ["resolution"]);
        // Without the step by which the second party accepted, nobody has settled anything.
        let open = without(&good, &other.key, good.records.len() - 1);
        assert_eq!(failed(&both_fail(&open, trusted)), ["resolution"]);
        other.db.close().await;
        let taken_back = pay(&hub, payer, payee, "1").await;
        let body = complaint("trade", "statement", taken_back, payee);
        let taken_back = file(&hub, payer, community, body).await;
        does(&hub, payer, taken_back, json!("withdraw")).await;
        assert_eq!(asked(&hub, payer, taken_back).await.refusal().2, "not_decided");
        sound(hub).await;
    }
}

/// Who has said what a grievance is about has a part in it, and the file shows who that is.
#[tokio::test]
async fn nobody_judges_what_they_have_said() {
    for (hub, people, community) in grounds(7, &[("jury_size", "3")]).await {
        let [steward, complains, respondent, second, ..] = &people[..] else { panic!() };
        let mut made = community;
        for (by, whom) in [(steward, second), (second, respondent)] {
            hub.clock.pass_ms(1);
            let member = json!({ "account": whom.account, "role": "steward" });
            made = hub.say(&by.record_about(&hub, "membership@1", community, member)).await;
        }
        let body = complaint("membership", "removal", made, respondent);
        let grievance = file(&hub, complains, community, body).await;
        for step in ["take", "community_wide"] {
            does(&hub, steward, grievance, json!(step)).await;
        }
        let (vote, seen) = seats(&hub, complains, grievance).await;
        for juror in jurors(&people, &seen) {
            hub.say(&ballot(&hub, juror, vote, json!("no"))).await;
        }
        closes(&hub, complains, vote).await;
        until(&hub, complains, grievance, "resolved").await;
        let trusted = device_of(&hub).await;
        let good = bundle(&hub, complains, grievance).await;
        both_hold(&good, trusted);
        let other = Hub::existing(hub.config.clone(), hub.clock.clone()).await.unwrap();
        let judges = forged(&good, &other.key, |extract| {
            let drawn = &mut extract.grievance.as_mut().unwrap().draws[0];
            let theirs = lot(drawn.entropy.0, &second.account);
            (drawn.places, drawn.lots, drawn.jurors) = (1, vec![theirs], vec![second.account]);
        });
        let checks = both_fail(&judges, trusted);
        let told = format!("{} has a part in the grievance", second.account);
        assert_eq!(named(&checks, "draw")[0].detail, told, "{checks:?}");
        other.db.close().await;
        sound(hub).await;
    }
}

/// Files that people have kept are read by every later version.
#[test]
fn files_that_were_kept_still_hold() {
    let hub = DeviceKey::from_seed([9; 32]).device();
    for (kept, told) in [
        (include_str!("../../../../tests/ethers/samples/grievances/ruled.json"), "ruled"),
        (include_str!("../../../../tests/ethers/samples/grievances/revoked.json"), "revoked"),
        (include_str!("../../../../tests/ethers/samples/grievances/settled.json"), "settled"),
    ] {
        let checks = check(&serde_json::from_str(kept).unwrap(), hub);
        assert_eq!((failed(&checks), verdict(&checks, "resolution")), (vec![], Verdict::Holds), "{told}");
    }
}
