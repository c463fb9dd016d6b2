//! Who is drawn out of many, on both engines.

use std::collections::BTreeSet;

use super::*;
use crate::grievances::jury::{Draw, OFFERED_MAX, offered};

/// Whoever has the numbers of the members and the entropy of the log's entry finds the same ones.
#[tokio::test]
async fn a_draw_out_of_thousands_is_of_a_few_hundred_and_found_again() {
    for (hub, people, community) in grounds(3, &[("jury_size", "13")]).await {
        let [_, payer, payee] = &people[..] else { panic!() };
        let mut members: Vec<RecordId> = people.iter().map(|one| one.account).collect();
        members.extend((4..=2_000).map(|number| RecordId::of(&json!({ "number": number })).unwrap()));
        let rows: Vec<String> = (1..)
            .zip(&members)
            .skip(people.len())
            .map(|(number, account)| format!("('{community}', '{account}', 'member', 1, {number})"))
            .collect();
        let sql = format!(
            "INSERT INTO members (community, account, role, since, number) VALUES {}",
            rows.join(", ")
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&hub.eyes).await.unwrap();
        let transfer = pay(&hub, payer, payee, "2000").await;
        let grievance = file(&hub, payer, community, complaint("trade", "reversal", transfer, payee)).await;
        let entropy: String = sqlx::query_scalar("SELECT entropy FROM log WHERE id = $1")
            .bind(grievance.to_string())
            .fetch_one(&hub.eyes)
            .await
            .unwrap();
        let mut bytes = [0; 32];
        hex::decode_to_slice(entropy, &mut bytes).unwrap();
        let numbers = offered(bytes, 2_000);
        assert_eq!(i64::try_from(numbers.len()).unwrap(), OFFERED_MAX);
        let parties = BTreeSet::from([payer.account, payee.account]);
        let mut draw = Draw::new(bytes, 13, &parties);
        for number in numbers {
            draw.offer(members[usize::try_from(number).unwrap() - 1]);
        }
        let expected: BTreeSet<String> = draw.drawn().iter().map(ToString::to_string).collect();
        let seen = shown(&hub, payer, grievance).await;
        let jurors = seen["jurors"].as_array().unwrap();
        let drawn: BTreeSet<String> = jurors.iter().map(|one| one.as_str().unwrap().to_owned()).collect();
        assert_eq!((drawn.len(), drawn), (13, expected));
    }
}
