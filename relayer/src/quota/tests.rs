//! Quotas: the rules as a property, and the tables against a model of them, on both databases.
#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use proptest::prelude::*;
use protocol::wire::{act::TimeOut, intent::IntentAction};
use service::{
    clock::SystemClock,
    db::{Db, Write, testing::on_both},
};

use super::{Quotas, Use, Used, billionths, charge, of_steps, over, over_beside, raise, totals, used};
use crate::{
    intents::{self, Kept, State},
    run::SCHEMA,
    testing::{intent, terms},
};

const HOUR: i64 = 3_600_000;

/// Small enough that every limit is met in a short history.
const TIGHT: Quotas = Quotas {
    account_open: 3,
    account_hour: 2,
    account_day: 5,
    account_hour_cost: 50,
    account_day_cost: 120,
    total_hour: 4,
    total_day: 9,
    total_hour_cost: 90,
    total_day_cost: 300,
    in_flight: 2,
    reserve: 0,
    steps_day_cost: 0,
};

#[test]
fn the_first_quota_that_is_exceeded_is_named() {
    let used = |count, cost| Use { count, cost };
    let none = Used::default();
    assert_eq!(TIGHT.allow(&none, 50), Ok(()));
    let rule = |used: &Used, cost| TIGHT.allow(used, cost).unwrap_err().rule;
    assert_eq!(rule(&none, 51), "account_hour_cost");
    assert_eq!(rule(&Used { account_hour: used(2, 0), ..none }, 0), "account_hour");
    assert_eq!(rule(&Used { account_day: used(5, 0), ..none }, 0), "account_day");
    assert_eq!(rule(&Used { account_day: used(0, 100), ..none }, 21), "account_day_cost");
    assert_eq!(rule(&Used { total_hour: used(4, 0), ..none }, 0), "total_hour");
    assert_eq!(rule(&Used { total_hour: used(0, 80), ..none }, 11), "total_hour_cost");
    assert_eq!(rule(&Used { total_day: used(9, 0), ..none }, 0), "total_day");
    assert_eq!(rule(&Used { total_day: used(0, 300), ..none }, 1), "total_day_cost");
    assert_eq!(rule(&Used { in_flight: 2, ..none }, 0), "in_flight");
    // What cannot be added up is too much.
    let wide = Quotas { account_hour_cost: i64::MAX as u64, ..TIGHT };
    assert!(wide.allow(&Used { account_hour: used(0, u64::MAX), ..none }, u64::MAX).is_err());
    assert_eq!(rule(&Used { account_open: 3, ..none }, 0), "account_open");
    let over = TIGHT.allow(&none, 51).unwrap_err().to_string();
    assert_eq!(over, "over quota account_hour_cost: 50 allowed");
}

#[test]
fn wei_are_rounded_up_to_billionths() {
    use alloy::primitives::U256;
    for (wei, gwei) in [(0_u64, 0), (1, 1), (1_000_000_000, 1), (1_000_000_001, 2)] {
        assert_eq!(billionths(U256::from(wei)), gwei);
    }
    assert_eq!(billionths(U256::MAX), u64::MAX);
}

#[test]
fn quotas_outside_their_ranges_are_refused() {
    TIGHT.check().unwrap();
    let refused = Quotas { total_day: 1_000_001, ..TIGHT }.check().unwrap_err().to_string();
    assert_eq!(refused, "configuration relayer.quotas.total_day: 1000001 is above 1000000");
}

/// What was signed, as the rules are meant: an account, when, at what price, and how far it is.
#[derive(Clone, Debug)]
struct Charged {
    intent: i64,
    account: u8,
    at_ms: i64,
    cost: u64,
    state: State,
}

/// By the definition: windows over everything that was ever signed.
fn expected(charged: &[Charged], account: u8, now_ms: i64) -> Used {
    let of = |account: Option<u8>, window: i64| {
        let counts = |one: &&Charged| {
            one.at_ms > now_ms - window && account.is_none_or(|account| account == one.account)
        };
        let mine: Vec<&Charged> = charged.iter().filter(counts).collect();
        Use { count: mine.len() as u64, cost: mine.iter().map(|one| one.cost).sum() }
    };
    Used {
        account_open: charged.iter().filter(|one| one.account == account && one.state != State::Done).count()
            as u64,
        account_hour: of(Some(account), HOUR),
        account_day: of(Some(account), 24 * HOUR),
        total_hour: of(None, HOUR),
        total_day: of(None, 24 * HOUR),
        in_flight: charged.iter().filter(|one| one.state == State::Attempted).count() as u64,
    }
}

/// What an intent has come to, as the rounds of the chain write it.
async fn comes_to(write: &mut Write, id: i64, state: State) {
    sqlx::query("UPDATE intent SET state = $1 WHERE id = $2")
        .bind(state.as_str())
        .bind(id)
        .execute(write.on())
        .await
        .unwrap();
}

async fn kept(db: &Db, account: &str, id: i64) -> Kept {
    let mut write = db.begin().await.unwrap();
    let mut wanted =
        intent(1, &format!("k{id}"), &terms(), IntentAction::TimeOut { time_out: TimeOut::Claim });
    wanted.asked_by = Some(account.to_owned());
    intents::receive(&mut write, &wanted, &Ok(()), 0).await.unwrap();
    write.commit().await.unwrap();
    let all = intents::list(db.reader(), None, 0, 1_000).await.unwrap();
    all.into_iter().find(|kept| kept.intent.key == wanted.key).unwrap()
}

/// One step of a history: after how long, whose, at what price, whether a dearer one takes its place, and how many of those
/// that are not over come one step further before: into a block, and to its finality.
fn steps() -> impl Strategy<Value = Vec<(i64, u8, u64, Option<u64>, usize)>> {
    let step = (0..HOUR, 0_u8..3, 0_u64..60, proptest::option::of(0_u64..100), 0_usize..4);
    proptest::collection::vec(step, 1..25)
}

#[test]
fn histories_are_charged_as_the_definition_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(ProptestConfig::with_cases(12), |(history in steps())| {
        runtime.block_on(async {
            for fresh in on_both().await {
                let db = Db::open(&fresh.url, SCHEMA).await.unwrap();
                let (mut charged, mut now_ms): (Vec<Charged>, i64) = (Vec::new(), 30 * 24 * HOUR);
                for (id, (after, account, cost, dearer, further)) in (0_i64..).zip(&history) {
                    now_ms += after;
                    let intent = kept(&db, &format!("a{account}"), id).await;
                    let slot = format!("s{id}");
                    let mut write = db.begin().await.unwrap();
                    for one in charged.iter_mut().filter(|one| one.state != State::Done).take(*further) {
                        one.state = if one.state == State::Mined { State::Done } else { State::Mined };
                        comes_to(&mut write, one.intent, one.state).await;
                    }
                    let over = charge(&mut write, &TIGHT, &intent, &slot, *cost, now_ms).await.unwrap();
                    let wanted = TIGHT.allow(&expected(&charged, *account, now_ms), *cost).err();
                    assert_eq!(over, wanted, "{id} of {history:?}");
                    if over.is_none() {
                        let mut cost = *cost;
                        if let Some(dearer) = dearer {
                            raise(&mut write, &slot, *dearer).await.unwrap();
                            cost = cost.max(*dearer);
                        }
                        let (account, at_ms, state) = (*account, now_ms, State::Attempted);
                        comes_to(&mut write, intent.id, state).await;
                        charged.push(Charged { intent: intent.id, account, at_ms, cost, state });
                    }
                    write.commit().await.unwrap();
                }
                db.close().await;
            }
        });
    });
}

#[tokio::test]
async fn an_account_has_only_so_many_intents_under_way_and_steps_of_cases_are_free() {
    for fresh in on_both().await {
        let db = Db::open(&fresh.url, SCHEMA).await.unwrap();
        for id in 0..3 {
            let mine = kept(&db, "ann", id).await;
            let mut write = db.begin().await.unwrap();
            assert_eq!(over(write.on(), &TIGHT, &mine, 1, 0).await.unwrap(), None, "what waits counts not");
            comes_to(&mut write, mine.id, State::Mined).await;
            write.commit().await.unwrap();
        }
        let (mine, other) = (kept(&db, "ann", 3).await, kept(&db, "bob", 4).await);
        let mut write = db.begin().await.unwrap();
        let refused = over(write.on(), &TIGHT, &mine, 1, 0).await.unwrap().unwrap();
        assert_eq!((refused.rule, refused.used, refused.limit), ("account_open", 3, 3));
        assert_eq!(over(write.on(), &TIGHT, &other, 1, 0).await.unwrap(), None);
        let step = Kept {
            id: 9,
            intent: intent(9, "open", &terms(), IntentAction::OpenCase),
            state: State::Waiting,
            reason: String::new(),
            refused_at_block: None,
            done_by: None,
            received_ms: 0,
            updated_ms: 0,
        };
        let nothing = Quotas { account_hour: 0, total_hour: 0, ..TIGHT };
        let now_ms = service::clock::Clock::now_ms(&SystemClock);
        assert_eq!(charge(&mut write, &nothing, &step, "s", 7, now_ms).await.unwrap(), None);
        raise(&mut write, "s", 9).await.unwrap();
        assert_eq!(used(write.on(), "", now_ms).await.unwrap().total_day, Use::default(), "nobody's");
        write.commit().await.unwrap();
        assert_eq!(of_steps(db.reader(), now_ms).await.unwrap(), 9);
        assert_eq!(of_steps(db.reader(), now_ms + 24 * HOUR).await.unwrap(), 0);
        let mut write = db.begin().await.unwrap();
        for slot in ["t", "u"] {
            assert_eq!(charge(&mut write, &nothing, &step, slot, u64::MAX, now_ms).await.unwrap(), None);
            raise(&mut write, slot, u64::MAX).await.unwrap();
        }
        write.commit().await.unwrap();
        assert_eq!(
            of_steps(db.reader(), now_ms).await.unwrap(),
            2_000_000_000_009,
            "no one of them fills it"
        );
        db.close().await;
    }
}

#[tokio::test]
async fn what_all_have_used_is_counted_once_for_many_accounts() {
    for fresh in on_both().await {
        let db = Db::open(&fresh.url, SCHEMA).await.unwrap();
        let (ann, bob) = (kept(&db, "ann", 0).await, kept(&db, "bob", 1).await);
        let quotas = Quotas { total_hour: 1, ..TIGHT };
        let now_ms = 30 * 24 * HOUR;
        let mut write = db.begin().await.unwrap();
        let before = totals(write.on(), now_ms).await.unwrap();
        assert_eq!(charge(&mut write, &quotas, &ann, "s", 1, now_ms).await.unwrap(), None);
        let by_new = over(write.on(), &quotas, &bob, 1, now_ms).await.unwrap();
        assert_eq!(by_new.unwrap().rule, "total_hour", "{:?}", fresh.engine);
        let by_old = over_beside(write.on(), &quotas, &bob, 1, (&before, now_ms)).await.unwrap();
        assert_eq!(by_old, None, "nothing is counted again");
        let after = totals(write.on(), now_ms).await.unwrap();
        let again = over_beside(write.on(), &quotas, &bob, 1, (&after, now_ms)).await.unwrap();
        assert_eq!(again, by_new, "{:?}", fresh.engine);
        write.commit().await.unwrap();
        db.close().await;
    }
}
