//! Recoveries over HTTP on both engines, ended by the hub's own scheduler.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use super::message_for;
use crate::{
    Hub,
    access::Audience,
    identity::{recovery::Stage, rule_statement, standing, veto_statement},
    records::{Draft, RecordId, Stamp},
    scheduler::{List, look},
    testing::{Person, StillClock, TestHub, says, signed},
    windows::Windows,
};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// A rule's record by this person.
pub(super) async fn rule(
    hub: &TestHub,
    person: &Person,
    guardians: &[RecordId],
    threshold: u8,
    hours: u32,
) -> Value {
    let mut guardians = guardians.to_vec();
    guardians.sort();
    let by = says(hub, &person.wallet, rule_statement(&person.account, &guardians, threshold, hours)).await;
    let body = json!({ "guardians": guardians, "threshold": threshold, "delay_hours": hours, "by": by });
    private(hub, person, "recovery-rule@1", body, None)
}

pub(super) fn private(hub: &TestHub, by: &Person, kind: &str, body: Value, about: Option<RecordId>) -> Value {
    let draft = Draft { about, ..by.draft(hub, kind, body) };
    draft.only_for(vec![Audience::Account(by.account)]).sign(&by.device).unwrap()
}

/// Keys that lost their account's wallet ask for it by a guardian.
pub(super) async fn ask(hub: &TestHub, guardian: &Person, account: RecordId, keys: u8) -> Value {
    let (wallet, device) = Person::keys(keys);
    let text = message_for(hub, &wallet, &device).await.to_string();
    let body = json!({ "message": text, "signature": signed(&wallet, &text) });
    private(hub, guardian, "recovery@1", body, Some(account))
}

/// Waits until the recovery is at this stage, as the account or a guardian sees it.
async fn reaches(hub: &TestHub, token: &str, id: RecordId, stage: &str) {
    loop {
        let view = hub.get_as(token, "/v1/recovery").await.body;
        let all = view["recoveries"].as_array().unwrap();
        let found = all.iter().find(|one| one["id"] == json!(id)).unwrap();
        if found["stage"] == stage {
            return;
        }
        assert!(found["stage"] == "asked" || found["stage"] == "waiting", "{found}");
        hub.look();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn guardians_give_an_account_to_a_new_wallet_after_the_delay() {
    for mut hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let (ben, carl, dora) =
            (Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await, Person::arrive(&hub, 4).await);
        let guardians = [ben.account, carl.account, dora.account];
        assert_eq!(hub.refuses(&ask(&hub, &ben, anna.account, 9).await).await.2, "recovery_no_rule");
        hub.say(&rule(&hub, &anna, &guardians, 2, 24).await).await;
        let old = anna.sign_in(&hub).await;
        let asked = json!({ "label": "kept", "scopes": ["read:all"], "days": 30 });
        let asked = anna.token_request(&hub, asked).await;
        let kept = hub.post_as(&old, "/v1/tokens", &asked).await.body["token"].as_str().unwrap().to_owned();
        let token = ben.sign_in(&hub).await;
        let view = hub.get_as(&token, "/v1/recovery").await.body;
        assert_eq!(view["guards"], json!([anna.account]));
        assert_eq!(hub.get("/v1/recovery").await.refusal().0, 401);
        let stranger = Person::arrive(&hub, 5).await;
        assert_eq!(hub.refuses(&ask(&hub, &stranger, anna.account, 9).await).await.2, "recovery_guardian");
        assert_eq!(hub.refuses(&ask(&hub, &ben, anna.account, 5).await).await.2, "wallet_taken");
        let id = hub.say(&ask(&hub, &ben, anna.account, 9).await).await;
        let approve = |by: &Person| private(&hub, by, "recovery-approval@1", json!({}), Some(id));
        assert_eq!(hub.refuses(&approve(&ben)).await.2, "recovery_agreed");
        assert_eq!(hub.refuses(&approve(&stranger)).await.2, "recovery_guardian");
        assert_eq!(
            hub.refuses(&private(&hub, &ben, "recovery-approval@1", json!({}), None)).await.2,
            "about"
        );
        let lost = private(&hub, &ben, "recovery-approval@1", json!({}), Some(anna.account));
        assert_eq!(hub.refuses(&lost).await.2, "recovery_unknown");
        hub.say(&approve(&carl)).await;
        assert_eq!(hub.refuses(&approve(&dora)).await.2, "recovery_enough");
        reaches(&hub, &kept, id, "waiting").await;
        // The hub alone ends it, and not before its time; the scheduler goes on where it was after a stop.
        let end = private(&hub, &ben, "recovery-end@1", json!({}), Some(id));
        assert_eq!(hub.refuses(&end).await.2, "hub_only");
        hub.restart_after(24 * HOUR_MS).await;
        let token = ben.sign_in(&hub).await;
        reaches(&hub, &token, id, "recovered").await;
        let view = hub.get(&format!("/v1/accounts/{}", anna.account)).await.body;
        let (wallet, device) = Person::keys(9);
        assert_eq!(view["wallets"], json!([crate::testing::account(wallet.address())]));
        assert_eq!(hub.get_as(&kept, "/v1/recovery").await.refusal().0, 401);
        let late = anna.record(&hub, "community@1", json!({ "name": "Late" }));
        assert_eq!(hub.refuses(&late).await.2, "device_revoked");
        let back = Person { wallet, device, account: anna.account };
        hub.say(&back.record(&hub, "community@1", json!({ "name": "Back" }))).await;
        hub.end().await;
    }
}

#[tokio::test]
async fn a_wallet_vetoes_and_too_few_lapse() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let (ben, carl) = (Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        hub.say(&rule(&hub, &anna, &[ben.account, carl.account], 2, 48).await).await;
        let veto = async |by: &Person, id: RecordId, of: RecordId| {
            let word = says(&hub, &by.wallet, veto_statement(&of, &id)).await;
            private(&hub, by, "recovery-veto@1", json!({ "by": word }), Some(id))
        };
        let id = hub.say(&ask(&hub, &ben, anna.account, 9).await).await;
        hub.say(&private(&hub, &carl, "recovery-approval@1", json!({}), Some(id))).await;
        // A guardian cannot veto, and a device alone cannot either.
        assert_eq!(hub.refuses(&veto(&ben, id, ben.account).await).await.2, "recovery_unknown");
        let word = says(&hub, &ben.wallet, veto_statement(&anna.account, &id)).await;
        let foreign = private(&hub, &anna, "recovery-veto@1", json!({ "by": word }), Some(id));
        assert_eq!(hub.refuses(&foreign).await.2, "wallet_unknown");
        hub.say(&veto(&anna, id, anna.account).await).await;
        assert_eq!(hub.refuses(&veto(&anna, id, anna.account).await).await.2, "recovery_closed");
        let token = anna.sign_in(&hub).await;
        reaches(&hub, &token, id, "vetoed").await;
        // One that too few agree to ends by itself, without effect.
        hub.clock.pass_ms(1);
        let id = hub.say(&ask(&hub, &ben, anna.account, 9).await).await;
        hub.clock.pass_ms(30 * 24 * HOUR_MS);
        let token = anna.sign_in(&hub).await;
        reaches(&hub, &token, id, "lapsed").await;
        // Another rule ends what was asked under the old one.
        let id = hub.say(&ask(&hub, &ben, anna.account, 9).await).await;
        hub.say(&rule(&hub, &anna, &[], 0, 0).await).await;
        reaches(&hub, &token, id, "vetoed").await;
        let view = hub.get_as(&token, "/v1/recovery").await.body;
        assert_eq!((&view["rule"], view["recoveries"].as_array().unwrap().len()), (&json!(null), 3));
        hub.end().await;
    }
}

/// A clock that is set ahead, by mistake or otherwise, leaves an owner the days that there are for a veto.
#[tokio::test]
async fn a_clock_that_leaps_ends_no_window() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        hub.say(&rule(&hub, &anna, &[ben.account], 1, 48).await).await;
        let id = hub.say(&ask(&hub, &ben, anna.account, 9).await).await;
        let clock = Arc::new(StillClock::at(hub.now()));
        let mut beside = Hub::existing(hub.config.clone(), clock.clone()).await.unwrap();
        beside.windows = Windows::new(clock.clone(), clock.passing());
        let stage = async || {
            look(&beside, List::Recoveries, &mut Default::default(), 100).await.unwrap();
            let mut eyes = hub.eyes.acquire().await.unwrap();
            standing::recovery(&mut eyes, &id).await.unwrap().unwrap().1.stage
        };
        clock.leap_ms(30 * 24 * HOUR_MS);
        assert_eq!(stage().await, Stage::Waiting);
        clock.pass_ms(48 * HOUR_MS - 1);
        assert_eq!(stage().await, Stage::Waiting);
        clock.pass_ms(1);
        assert_eq!(stage().await, Stage::Recovered);
        beside.db.close().await;
        hub.end().await;
    }
}

/// A veto rests on seeing what runs: whatever others do elsewhere, one's own is there.
#[tokio::test]
async fn what_runs_against_an_account_is_seen_by_its_owner() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        hub.say(&rule(&hub, &anna, &[ben.account], 1, 24).await).await;
        let id = hub.say(&ask(&hub, &ben, anna.account, 9).await).await;
        hub.clock.pass_ms(1);
        // Who has enough agreement asks for no other meanwhile.
        assert_eq!(hub.refuses(&ask(&hub, &ben, anna.account, 8).await).await.2, "recovery_asked");
        // A hundred strangers have made Anna a guardian, and recoveries of them run, and ended, later than hers.
        let strangers: Vec<_> = (0..101).map(|n| RecordId::of(&json!({ "stranger": n })).unwrap()).collect();
        for (nth, stranger) in strangers.iter().enumerate() {
            let stage = if nth % 2 == 0 { "asked" } else { "lapsed" };
            sqlx::query("INSERT INTO guardians (guardian, account) VALUES ($1, $2)")
                .bind(anna.account.to_string())
                .bind(stranger.to_string())
                .execute(&hub.eyes)
                .await
                .unwrap();
            sqlx::query(
                "INSERT INTO recoveries (id, account, wallet, device, asked_by, approvals, stage, ends_at)
                 SELECT $1, $1, wallet, device, asked_by, '[]', $2, $3 FROM recoveries WHERE id = $4",
            )
            .bind(stranger.to_string())
            .bind(stage)
            .bind(hub.now() + 1_000 * 24 * HOUR_MS)
            .bind(id.to_string())
            .execute(&hub.eyes)
            .await
            .unwrap();
        }
        let token = anna.sign_in(&hub).await;
        let (mut all, mut guards) = (Vec::new(), Vec::new());
        for (path, list, found) in
            [("/v1/recovery", "recoveries", &mut all), ("/v1/recovery/guards", "items", &mut guards)]
        {
            let mut next = format!("{path}?limit=30");
            for page in 0..4 {
                let view = hub.get_as(&token, &next).await.body;
                let one = |one: &Value| one.get("id").unwrap_or(one).as_str().unwrap().to_owned();
                found.extend(view[list].as_array().unwrap().iter().map(one));
                let after = view["next"].as_str();
                assert_eq!(after.is_none(), page == 3, "{path} {page}");
                next = format!("{path}?limit=30&after={}", after.unwrap_or_default());
            }
        }
        assert_eq!(all[0], id.to_string());
        // Those of others that are open come before those that have ended.
        let nth = |one: &String| strangers.iter().position(|stranger| stranger.to_string() == *one).unwrap();
        assert!(all[1..].is_sorted_by_key(|one| nth(one) % 2));
        let everyone: BTreeSet<String> = strangers.iter().map(ToString::to_string).collect();
        assert_eq!((all.len(), guards.len()), (102, 101));
        for found in [&all[1..], &guards[..]] {
            assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), everyone);
        }
        let of = |account: RecordId| format!("/v1/recovery?account={account}");
        let own = hub.get_as(&token, &of(anna.account)).await.body;
        assert_eq!(own["recoveries"].as_array().unwrap().len(), 1);
        // A guardian finds any one by its account, and nobody else does.
        let one = hub.get_as(&token, &of(strangers[100])).await.body;
        assert_eq!(one["recoveries"][0]["id"], json!(strangers[100]));
        assert_eq!(hub.get_as(&token, &of(ben.account)).await.refusal().0, 404);
        sqlx::query("DELETE FROM recoveries WHERE id = account").execute(&hub.eyes).await.unwrap();
        sqlx::query("DELETE FROM guardians WHERE guardian = $1")
            .bind(anna.account.to_string())
            .execute(&hub.eyes)
            .await
            .unwrap();
        hub.end().await;
    }
}

#[tokio::test]
async fn a_rule_names_others_and_is_between_them() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let nobody = RecordId::of(&json!({})).unwrap();
        for (guardians, threshold, hours, refused) in [
            (vec![ben.account], 0, 24, "recovery_threshold"),
            (vec![ben.account], 2, 24, "recovery_threshold"),
            (vec![ben.account], 1, 23, "delay_hours"),
            (vec![ben.account], 1, 2_161, "delay_hours"),
            (vec![ben.account, ben.account], 1, 24, "guardians"),
            (vec![], 1, 0, "threshold"),
            (vec![anna.account], 1, 24, "unknown_account"),
            (vec![nobody], 1, 24, "unknown_account"),
        ] {
            let record = rule(&hub, &anna, &guardians, threshold, hours).await;
            assert_eq!(hub.refuses(&record).await.2, refused);
        }
        let by = says(&hub, &anna.wallet, rule_statement(&anna.account, &[ben.account], 1, 24)).await;
        let body = json!({ "guardians": [ben.account], "threshold": 1, "delay_hours": 24, "by": by });
        let open = Draft::new("recovery-rule@1", Some(anna.account), Stamp::from_ms(hub.now()), body.clone());
        assert_eq!(hub.refuses(&open.sign(&anna.device).unwrap()).await.2, "audience");
        // The wallet said another rule.
        let mut altered = body.clone();
        altered["delay_hours"] = json!(25);
        let record = private(&hub, &anna, "recovery-rule@1", altered, None);
        assert_eq!(hub.refuses(&record).await.2, "message_statement");
        let id = hub.say(&private(&hub, &anna, "recovery-rule@1", body, None)).await;
        assert_eq!(hub.get(&format!("/v1/records/{id}")).await.status, 404);
        hub.end().await;
    }
}
