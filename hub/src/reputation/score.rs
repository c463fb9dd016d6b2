//! The explained score: integer points with the terms that they come from. A pure function of credentials; whoever reads the
//! same credentials comes to the same score. Needs no server.
//!
//! It only accrues: nothing that somebody else says takes points away, and a lost dispute is shown beside it. It counts who
//! speaks, not how often: the first credential of a kind from a counterparty brings most, the next few less, further ones nothing, so
//! that two who praise one another all day gain little. Amounts of money do not count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::kinds::Kind;
use crate::records::RecordId;

/// How many credentials of a kind count from one counterparty.
pub const COUNTED_MAX: u64 = 3;

/// A credential as the score sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it says.
    pub kind: Kind,
    /// The account that issued it.
    pub by: RecordId,
    /// Whether its issuer took it back.
    pub revoked: bool,
}

/// What one kind of credential brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Term {
    /// The type of the credential.
    pub kind: String,
    /// What it says, for people.
    pub words: String,
    /// How many there are that stand.
    pub count: u64,
    /// From how many counterparties.
    pub counterparties: u64,
    /// Points for the first one from a counterparty.
    pub first: u64,
    /// Points for each further one from the same counterparty, of which [`COUNTED_MAX`] less one count.
    pub again: u64,
    /// What that comes to.
    pub points: u64,
}

/// A score and its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Score {
    /// The sum of the terms' points.
    pub points: u64,
    /// One term for each kind, in the order of the table.
    pub terms: Vec<Term>,
}

/// The score of whoever these credentials are about; each stands here once.
pub fn score(said: &[Said]) -> Score {
    beside(&mut Known::new(), said)
}

/// The score of an account by what is said of its wallets, and what each of them brings to it: the points of these come to those of the
/// score. It is as if all was said of one wallet: of a counterparty no more counts, and what the wallets before brought counts first. What
/// the account has issued itself, before a wallet was its own, counts nothing.
pub fn of_account(account: RecordId, wallets: &[Vec<Said>]) -> (Score, Vec<Score>) {
    let by_others =
        |said: &Vec<Said>| -> Vec<Said> { said.iter().copied().filter(|one| one.by != account).collect() };
    let wallets: Vec<Vec<Said>> = wallets.iter().map(by_others).collect();
    let mut known = Known::new();
    let brought = wallets.iter().map(|said| beside(&mut known, said)).collect();
    (score(&wallets.concat()), brought)
}

/// How many credentials of a kind counterparties have issued.
type Known = BTreeMap<(Kind, RecordId), u64>;

/// What these credentials bring beside those that are known, which they then are, too.
fn beside(known: &mut Known, said: &[Said]) -> Score {
    let terms: Vec<Term> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let mut by = BTreeMap::<RecordId, u64>::new();
            for one in said.iter().filter(|one| one.kind == kind && !one.revoked) {
                let count = by.entry(one.by).or_default();
                *count = count.saturating_add(1);
            }
            let rule = kind.rule();
            let (first, again) = rule.points;
            let worth = |count: u64| match count.min(COUNTED_MAX) {
                0 => 0,
                counted => first.saturating_add(again.saturating_mul(counted.saturating_sub(1))),
            };
            let mut points = 0_u64;
            for (who, count) in &by {
                let before = known.entry((kind, *who)).or_default();
                let after = before.saturating_add(*count);
                points = points.saturating_add(worth(after).saturating_sub(worth(*before)));
                *before = after;
            }
            Term {
                kind: rule.name.to_owned(),
                words: rule.words.to_owned(),
                count: by.values().fold(0, |sum, count| sum.saturating_add(*count)),
                counterparties: u64::try_from(by.len()).unwrap_or(u64::MAX),
                first,
                again,
                points,
            }
        })
        .collect();
    Score { points: terms.iter().fold(0, |sum, term| sum.saturating_add(term.points)), terms }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn account(seed: u8) -> RecordId {
        RecordId::of(&json!({ "seed": seed })).unwrap()
    }

    fn said(kind: Kind, by: u8) -> Said {
        Said { kind, by: account(by), revoked: false }
    }

    #[test]
    fn the_terms_tell_where_the_points_come_from() {
        use Kind::{DisputeLost, ReliablePayer, TrustedSeller};
        let mut all = vec![said(TrustedSeller, 1); 5];
        all.extend([said(TrustedSeller, 2), said(ReliablePayer, 1), said(DisputeLost, 9)]);
        all.push(Said { revoked: true, ..said(TrustedSeller, 3) });
        let told = score(&all);
        let term = |kind: Kind| told.terms.iter().find(|term| term.kind == kind.name()).unwrap();
        let of = |kind| (term(kind).count, term(kind).counterparties, term(kind).points);
        // 10 + 2 + 2 from the first one, 10 from the second.
        assert_eq!(of(TrustedSeller), (6, 2, 24));
        assert_eq!(of(ReliablePayer), (1, 1, 10));
        assert_eq!(of(DisputeLost), (1, 1, 0));
        assert_eq!(told.points, 34);
        assert_eq!(score(&[]).points, 0);
        assert_eq!(score(&[]).terms.len(), Kind::ALL.len());
    }

    #[test]
    fn wallets_of_one_account_are_as_one_wallet() {
        use Kind::{ReliablePayer, TrustedSeller};
        let first = vec![said(TrustedSeller, 1), said(TrustedSeller, 2)];
        // The same counterparty three times more, a new one, one that was taken back, and the account itself.
        let mut second = vec![said(TrustedSeller, 1); 3];
        second.extend([said(TrustedSeller, 3), said(ReliablePayer, 7)]);
        second.push(Said { revoked: true, ..said(TrustedSeller, 4) });
        let (all, brought) = of_account(account(7), &[first.clone(), second.clone(), vec![]]);
        let of = |score: &Score| {
            let term = &score.terms[0];
            (term.count, term.counterparties, term.points, score.points)
        };
        // 14 of the first, 10 of the second and of the third, whichever wallet is asked first.
        assert_eq!(of(&all), (6, 3, 34, 34));
        assert_eq!(
            brought.iter().map(of).collect::<Vec<_>>(),
            [(2, 2, 20, 20), (4, 2, 14, 14), (0, 0, 0, 0)]
        );
        assert_eq!(of_account(account(7), &[second, first]).0, all);
        assert_eq!(of_account(account(7), &[]), (score(&[]), vec![]));
    }

    fn any_said() -> impl Strategy<Value = Said> {
        (0..Kind::ALL.len(), 0..4_u8, any::<bool>())
            .prop_map(|(kind, by, revoked)| Said { revoked, ..said(Kind::ALL[kind], by) })
    }

    proptest! {
        #[test]
        fn one_more_never_takes_points_away(all in prop::collection::vec(any_said(), 0..30), more in any_said()) {
            let before = score(&all).points;
            let mut longer = all.clone();
            longer.insert(0, more);
            prop_assert!(score(&longer).points >= before);
        }

        #[test]
        fn the_order_does_not_count(all in prop::collection::vec(any_said(), 0..30)) {
            let mut backwards = all.clone();
            backwards.reverse();
            prop_assert_eq!(score(&all), score(&backwards));
        }

        #[test]
        fn an_account_has_what_its_wallets_bring(
            wallets in prop::collection::vec(prop::collection::vec(any_said(), 0..12), 0..5), own in 0..4_u8,
        ) {
            let (all, brought) = of_account(account(own), &wallets);
            prop_assert_eq!(all.points, brought.iter().map(|one| one.points).sum::<u64>());
            for (nth, term) in all.terms.iter().enumerate() {
                let of = |what: fn(&Term) -> u64| brought.iter().map(|one| what(&one.terms[nth])).sum::<u64>();
                prop_assert_eq!((term.count, term.points), (of(|term| term.count), of(|term| term.points)));
            }
            let mut backwards = wallets.clone();
            backwards.reverse();
            prop_assert_eq!(&of_account(account(own), &backwards).0, &all);
            // No more than each has for itself, and no less than the best of them.
            let apart: Vec<u64> =
                wallets.iter().map(|said| of_account(account(own), std::slice::from_ref(said)).0.points).collect();
            prop_assert!(all.points <= apart.iter().sum::<u64>());
            prop_assert!(all.points >= apart.iter().copied().max().unwrap_or(0));
        }

        #[test]
        fn one_counterparty_brings_little(count in 0..50_usize) {
            let all = vec![said(Kind::TrustedSeller, 1); count];
            prop_assert!(score(&all).points <= 14);
        }
    }
}
