//! Scores and bundles over HTTP, on both engines and both kinds of chain.

use super::{
    super::{
        ReputationView,
        bundle::{Bundle, Check, Verdict, check},
        exchange::Exchange,
    },
    issued::word_of,
    *,
};
use crate::{
    access::Audience,
    governance::tests::join,
    grievances::tests::{complaint, does, file, refused, shown},
    records::{Device, Head, RecordId},
    testing::trade::{Bought, Trade, everywhere},
};

async fn device_of(trade: &Trade) -> Device {
    let document = trade.hub.get("/.well-known/did.json").await.body;
    document["alsoKnownAs"][0].as_str().unwrap().parse().unwrap()
}

/// The buyer's praise of a deal that went well, in that form and under that entry of the status list.
pub(crate) async fn praise(trade: &Trade, salt: u8, entry: u32, form: Form) -> (RecordId, Bought) {
    praise_among(trade, salt, (entry, form), vec![Audience::Public]).await
}

/// The same for this audience.
pub(crate) async fn praise_among(
    trade: &Trade,
    salt: u8,
    (entry, form): (u32, Form),
    audience: Vec<Audience>,
) -> (RecordId, Bought) {
    let bought = trade.agree(salt).await;
    let funded = trade.fund(&bought).await;
    let released = EventBody::Released { deal: bought.deal, released: 1000, count: 2 };
    let released = trade.final_event(trade.ground.escrow, released).await;
    let (position, _) = fold(Status::Created, &bought.terms, [&funded, &released]);
    let issuing = Issuing {
        authorisation: Some(word_of(trade, &trade.buyer).await),
        status: Some(Entry::new(&trade.hub.config.public_url, Purpose::Revocation, 0, entry)),
        form,
    };
    let device = &trade.buyer.device;
    let now = Stamp::from_ms(START_MS);
    let made = issue(Kind::TrustedSeller, &bought.terms, &position, issuing, device, now).unwrap();
    let draft = trade.buyer.draft(&trade.hub, "credential@1", json!({ "credential": made }));
    let said = draft.about(bought.id).only_for(audience).sign(device).unwrap();
    (trade.hub.say(&said).await, bought)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_is_what_public_credentials_that_stand_come_to() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let mut said = Vec::new();
        for salt in 1..=3_u8 {
            said.push(praise(&trade, salt, u32::from(salt), Form::Jose).await);
        }
        let path = format!("/v1/reputation/{}", WalletDid(said[0].1.terms.seller));
        let points = async || {
            let view: ReputationView = serde_json::from_value(trade.hub.get(&path).await.body).unwrap();
            (view.score.points, view.score.terms[0].count)
        };
        assert_eq!(points().await, (14, 3));
        let gone = trade.buyer.record_about(&trade.hub, "revocation@1", said[0].0, json!({ "reason": "" }));
        trade.hub.say(&gone).await;
        assert_eq!(points().await, (12, 2));
        let nobody = format!("/v1/reputation/{}", WalletDid(trade.jurors[0].wallet_id()));
        assert_eq!(trade.hub.get(&nobody).await.body["score"]["points"], 0);
        assert_eq!(trade.hub.get("/v1/reputation/somebody").await.status, 400);
        trade.hub.end().await;
    }
}

fn failed(checks: &[Check]) -> Vec<&str> {
    let failed = checks.iter().filter(|one| one.verdict == Verdict::Fails);
    failed.map(|one| one.check.split(' ').next().unwrap()).collect()
}

fn found<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    let found = checks.iter().find(|one| one.check.split(' ').next() == Some(name));
    found.unwrap_or_else(|| panic!("no {name} in {checks:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_deal_is_checked_from_one_file() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let open = trade.agree(9).await;
        let (said, bought) = praise(&trade, 1, 77, Form::Jose).await;
        let path = format!("/v1/purchases/{}/bundle", bought.id);
        let buyer = trade.buyer.sign_in(&trade.hub).await;
        assert_eq!(trade.hub.get(&path).await.refusal().0, 404);
        let early = trade.hub.get_as(&buyer, &format!("/v1/purchases/{}/bundle", open.id)).await;
        assert_eq!(early.refusal().2, "deal_not_closed");
        let bundle = async || -> Bundle {
            let answer = trade.hub.get_as(&buyer, &path).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            serde_json::from_value(answer.body).unwrap()
        };
        let hub = device_of(&trade).await;
        let good = bundle().await;
        let checks = check(&good, hub);
        assert_eq!(failed(&checks), [""; 0], "{checks:?}");
        assert!(found(&checks, "status").detail.starts_with("not revoked"));
        assert_eq!(found(&checks, "chain").verdict, Verdict::Unknown);
        assert_eq!(found(&checks, "outcome").verdict, Verdict::Holds);
        assert_eq!(failed(&check(&good, trade.buyer.device.device())), ["log"]);

        // One thing changed, left out or put elsewhere at a time.
        for at in 0..good.records.len() {
            let mut without = good.clone();
            without.records.remove(at);
            assert!(failed(&check(&without, hub)).contains(&"log"), "without record {at}");
            let mut changed = good.clone();
            changed.records[at]["created"] = json!("2026-11-21T10:00:00.001Z");
            assert!(failed(&check(&changed, hub)).contains(&"record"), "record {at}");
        }
        let mut swapped = good.clone();
        swapped.records.swap(0, 1);
        assert!(failed(&check(&swapped, hub)).contains(&"log"));
        let mut later = good.clone();
        later.log["made"] = json!("2027-01-01T00:00:00Z");
        assert_eq!(failed(&check(&later, hub)), ["log"]);
        // Nor does anything else stand at its place in the log.
        assert_eq!(found(&checks, "inclusion").verdict, Verdict::Holds);
        for at in 0..good.records.len() {
            let mut off = good.clone();
            off.log_proof.paths[at][0].0[0] ^= 1;
            assert_eq!(failed(&check(&off, hub)), ["inclusion"], "path {at}");
            off.log_proof.paths.remove(at);
            assert_eq!(failed(&check(&off, hub)), ["inclusion"], "without path {at}");
        }
        let mut none = good.clone();
        none.log_proof.paths.clear();
        assert_eq!(failed(&check(&none, hub)), ["inclusion"]);
        let mut grown = good.clone();
        grown.log_proof.head["size"] = json!("1000");
        assert_eq!(failed(&check(&grown, hub)), ["inclusion"]);
        let (head, _) = Head::read(&good.log_proof.head).unwrap();
        let mut anybodys = good.clone();
        anybodys.log_proof.head = head.sign(&trade.buyer.device).unwrap();
        assert_eq!(failed(&check(&anybodys, hub)), ["inclusion"]);
        let mut lists = good.clone();
        lists.status_lists[0]["validFrom"] = json!("2026-11-21T09:59:59Z");
        assert_eq!(failed(&check(&lists, hub)), ["status"]);
        lists.status_lists.clear();
        let checks = check(&lists, hub);
        assert_eq!((failed(&checks).len(), found(&checks, "status").verdict), (0, Verdict::Unknown));

        let gone = trade.buyer.record_about(&trade.hub, "revocation@1", said, json!({ "reason": "" }));
        trade.hub.say(&gone).await;
        let after = bundle().await;
        let checks = check(&after, hub);
        assert_eq!(failed(&checks), [""; 0], "{checks:?}");
        assert!(found(&checks, "status").detail.starts_with("revoked"));
        // The list of before beside the revocation: one of them is not true.
        let stale = Bundle { status_lists: good.status_lists, ..after };
        assert_eq!(failed(&check(&stale, hub)), ["status"]);
        trade.hub.end().await;
    }
}

/// Not even by a payment that an earlier hub took, when one could still name what it has nothing to do with.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_has_no_word_in_the_file_of_a_deal() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start_with(db, ground, |config| config.time_credit_limit = 1_000).await;
        let (hub, stranger, puppet) = (&trade.hub, &trade.jurors[0], &trade.jurors[1]);
        let (_, bought) = praise(&trade, 1, 77, Form::Jose).await;
        let buyer = trade.buyer.sign_in(hub).await;
        let bundle = async || -> Bundle {
            let answer = hub.get_as(&buyer, &format!("/v1/purchases/{}/bundle", bought.id)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            serde_json::from_value(answer.body).unwrap()
        };
        let good = bundle().await;
        let pays = json!({ "asset": "time_credit", "to": puppet.account, "amount": "1", "note": "" });
        let pays = stranger.draft(hub, "transfer@1", pays).about(bought.id);
        let pays = pays.only_for(vec![Audience::Account(puppet.account)]).sign(&stranger.device).unwrap();
        assert_eq!(hub.refuses(&pays).await.2, "about");
        let payment = hub.took_before(&pays).await;
        let exchange = Exchange { payment, payer: stranger.account, payee: puppet.account };
        let thanked = thanks(hub, stranger, exchange, puppet, Kind::SkillProvider, 78);
        hub.say(&handed_in(hub, stranger, payment, &thanked)).await;
        let after = bundle().await;
        assert_eq!(after.records, good.records);
        let checks = check(&after, device_of(&trade).await);
        assert_eq!(failed(&checks), [""; 0], "{checks:?}");
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ballots_of_a_dispute_are_counted_again_from_one_file() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        trade.fund(&bought).await;
        let disputed = trade.dispute(&bought).await;
        let shown = json!({ "hash": B256::repeat_byte(9), "uri": "https://example.org/photo", "note": "" });
        let shown = trade.buyer.draft(&trade.hub, "evidence@1", shown).about(bought.id);
        trade.hub.say(&shown.sign(&trade.buyer.device).unwrap()).await;
        let case = trade.draw(&bought, disputed.block_time).await;
        for (juror, share) in [(0_u8, 0), (1, 1000), (2, 10_000)] {
            trade.hub.say(&trade.ballot(usize::from(juror), &bought, case, juror, share)).await;
        }
        let (deal, escrow) = (bought.deal, ground.escrow.address);
        let accepted = EventBody::RulingAccepted {
            deal,
            escrow,
            instance: 0,
            jury: 0,
            ballots: B256::ZERO,
            share: 1000,
            executable_at: 0,
        };
        trade.final_event(ground.arbiter, accepted).await;
        let ruled = EventBody::Ruled { deal, share: 1000, released: 100, refunded: 900, count: 3 };
        trade.final_event(ground.escrow, ruled).await;
        let buyer = trade.buyer.sign_in(&trade.hub).await;
        let answer = trade.hub.get_as(&buyer, &format!("/v1/purchases/{}/bundle", bought.id)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let bundle: Bundle = serde_json::from_value(answer.body).unwrap();
        let hub = device_of(&trade).await;
        let checks = check(&bundle, hub);
        assert_eq!(failed(&checks), [""; 0], "{checks:?}");
        let ruling = found(&checks, "ruling");
        assert_eq!(ruling.verdict, Verdict::Holds, "{ruling:?}");
        assert_eq!(checks.iter().filter(|one| one.check.starts_with("ballot ")).count(), 3);
        assert_eq!(found(&checks, "evidence").verdict, Verdict::Unknown);
        // The hub's own word on who lost is there, and its list.
        assert_eq!(found(&checks, "credential").verdict, Verdict::Holds);
        assert!(found(&checks, "status").detail.starts_with("not revoked"));
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruling_that_its_ballots_do_not_make_is_found() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        trade.fund(&bought).await;
        let disputed = trade.dispute(&bought).await;
        let case = trade.draw(&bought, disputed.block_time).await;
        for seat in 0..3_u8 {
            trade.hub.say(&trade.ballot(usize::from(seat), &bought, case, seat, 1000)).await;
        }
        let (deal, escrow) = (bought.deal, ground.escrow.address);
        let accepted = EventBody::RulingAccepted {
            deal,
            escrow,
            instance: 0,
            jury: 0,
            ballots: B256::ZERO,
            share: 9000,
            executable_at: 0,
        };
        trade.final_event(ground.arbiter, accepted).await;
        let ruled = EventBody::Ruled { deal, share: 9000, released: 900, refunded: 100, count: 3 };
        trade.final_event(ground.escrow, ruled).await;
        let buyer = trade.buyer.sign_in(&trade.hub).await;
        let answer = trade.hub.get_as(&buyer, &format!("/v1/purchases/{}/bundle", bought.id)).await;
        let bundle: Bundle = serde_json::from_value(answer.body).unwrap();
        assert_eq!(failed(&check(&bundle, device_of(&trade).await)), ["ruling"]);
        trade.hub.end().await;
    }
}

/// What a community's members agree on, or their jury rules, takes a credential back as its issuer would.
#[tokio::test(flavor = "multi_thread")]
async fn a_grievance_takes_a_credential_back() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (hub, steward) = (&trade.hub, &trade.jurors[0]);
        let community = hub.say(&steward.record(hub, "community@1", json!({ "name": "Gardens" }))).await;
        for person in [&trade.buyer, &trade.seller] {
            join(hub, steward, community, person).await;
        }
        for (entry, taken_back) in [(1_u8, false), (2, true)] {
            let (said, bought) = praise(&trade, entry, u32::from(entry), Form::Jose).await;
            let body = complaint("attestation", "revocation", said, &trade.buyer);
            let grievance = file(hub, &trade.seller, community, body).await;
            does(hub, steward, grievance, json!("take")).await;
            let uphold = json!({ "propose": { "outcome": "upheld", "reason": "" } });
            let proposal = does(hub, steward, grievance, uphold).await;
            let accept = json!({ "accept": { "proposal": proposal } });
            does(hub, &trade.seller, grievance, accept.clone()).await;
            let own = trade.buyer.record_about(hub, "revocation@1", said, json!({ "reason": "" }));
            let mut by = None;
            if taken_back {
                by = Some(hub.say(&own).await);
            }
            does(hub, &trade.buyer, grievance, accept).await;
            let seen = hub.get(&format!("/v1/credentials/{said}")).await.body;
            let revoked: RecordId = seen["revoked"].as_str().unwrap().parse().unwrap();
            let record = hub.get(&format!("/v1/records/{revoked}")).await.body;
            if let Some(by) = by {
                assert_eq!(revoked, by);
            } else {
                assert_eq!(record["body"]["reason"], json!(format!("grievance {grievance}")));
                assert_ne!(record["author"], json!(trade.buyer.account));
            }
            // A file of the deal shows that it was taken back, and by whom.
            let token = trade.buyer.sign_in(hub).await;
            let bundle = hub.get_as(&token, &format!("/v1/purchases/{}/bundle", bought.id)).await.body;
            let bundle: Bundle = serde_json::from_value(bundle).unwrap();
            let checks = check(&bundle, device_of(&trade).await);
            assert_eq!(failed(&checks), [""; 0], "{checks:?}");
            assert!(found(&checks, "status").detail.starts_with("revoked"));
            let resolution = shown(hub, steward, grievance).await["resolution"].clone();
            // So does a file of the grievance.
            let bundle = hub.get_as(&token, &format!("/v1/grievances/{grievance}/bundle")).await.body;
            let bundle: Bundle = serde_json::from_value(bundle).unwrap();
            let checks = check(&bundle, device_of(&trade).await);
            assert_eq!(failed(&checks), [""; 0], "{checks:?}");
            let expected = if taken_back { Verdict::Unknown } else { Verdict::Holds };
            assert_eq!(found(&checks, "effect").verdict, expected);
            assert!(found(&checks, "status").detail.starts_with("revoked"));
            let rule = if taken_back { json!("credential_revoked") } else { Value::Null };
            assert_eq!(
                (&resolution["outcome"], &resolution["unexecuted"]["rule"]),
                (&json!("upheld"), &rule)
            );
            if !taken_back {
                assert_eq!(hub.refuses(&own).await.2, "credential_revoked");
            }
        }
        trade.hub.end().await;
    }
}

/// Whose credential it is learns of it and shows something, and neither mediates nor sits on the jury.
#[tokio::test(flavor = "multi_thread")]
async fn whose_credential_it_is_has_a_part_in_the_grievance() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (hub, steward, complains) = (&trade.hub, &trade.jurors[0], &trade.jurors[1]);
        let community = hub.say(&steward.record(hub, "community@1", json!({ "name": "Gardens" }))).await;
        for person in [&trade.buyer, &trade.seller, complains] {
            join(hub, steward, community, person).await;
        }
        hub.clock.pass_ms(1);
        let second = json!({ "account": trade.seller.account, "role": "steward" });
        hub.say(&steward.record_about(hub, "membership@1", community, second)).await;
        let (said, _) = praise(&trade, 1, 1, Form::Jose).await;
        let body = complaint("attestation", "revocation", said, &trade.buyer);
        let grievance = file(hub, complains, community, body).await;
        assert_eq!(refused(hub, &trade.seller, grievance, json!("take")).await, "not_yours");
        does(hub, steward, grievance, json!("take")).await;
        let shows = json!({ "evidence": { "text": "It was deserved.", "uri": null, "sha256": null } });
        does(hub, &trade.seller, grievance, shows).await;
        does(hub, steward, grievance, json!("community_wide")).await;
        // Parties, mediator and whose credential it is are all there are.
        let seen = shown(hub, &trade.seller, grievance).await;
        assert_eq!((&seen["state"], &seen["jurors"]), (&json!("escalated"), &json!([])));
        trade.hub.end().await;
    }
}
