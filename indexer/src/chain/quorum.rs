//! What several providers agree upon, as functions of what each of them says.

use alloy::primitives::B256;

/// What the answers about one height come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The hash that a quorum agrees on; none where there is no such.
    pub agreed: Option<B256>,
    /// Who said another one, by position. Empty where nothing is agreed: then nobody knows who is wrong.
    pub dissent: Vec<usize>,
}

/// How many must agree where the configuration does not say: more than half.
pub(crate) const fn majority(providers: usize) -> usize {
    (providers / 2).saturating_add(1)
}

/// The greatest height that at least `quorum` of them have come to.
pub(crate) fn height(said: &[u64], quorum: usize) -> Option<u64> {
    let mut descending = said.to_vec();
    descending.sort_unstable_by(|a, b| b.cmp(a));
    descending.get(quorum.checked_sub(1)?).copied()
}

/// What they say of one height, each by its position.
pub(crate) fn judge(said: &[(usize, B256)], quorum: usize) -> Verdict {
    let votes = |hash: B256| said.iter().filter(|(_, other)| *other == hash).count();
    let most = said.iter().map(|(_, hash)| (votes(*hash), *hash)).max();
    // Two hashes with a quorum each, which a quorum of half or less allows, agree on nothing.
    let agreed = most.filter(|(count, hash)| {
        *count >= quorum && !said.iter().any(|(_, other)| other != hash && votes(*other) >= quorum)
    });
    let agreed = agreed.map(|(_, hash)| hash);
    let dissent = agreed.map_or_else(Vec::new, |agreed| {
        said.iter().filter(|(_, hash)| *hash != agreed).map(|(at, _)| *at).collect()
    });
    Verdict { agreed, dissent }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::{height, judge, majority};

    fn hash(n: u8) -> B256 {
        B256::repeat_byte(n)
    }

    #[test]
    fn a_quorum_has_come_to_the_height() {
        for (said, quorum, expected) in [
            (vec![], 1, None),
            (vec![7], 1, Some(7)),
            (vec![7], 2, None),
            (vec![7, 9, u64::MAX], 2, Some(9)),
            (vec![9, 7], 2, Some(7)),
            (vec![9, 9, 1], 2, Some(9)),
        ] {
            assert_eq!(height(&said, quorum), expected, "{said:?} {quorum}");
        }
        assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
    }

    #[test]
    fn who_differs_from_a_quorum_dissents_and_without_one_nobody_does() {
        for (said, quorum, agreed, dissent) in [
            (vec![(0, 1)], 1, Some(1), vec![]),
            (vec![(0, 1), (1, 2), (2, 1)], 2, Some(1), vec![1]),
            (vec![(0, 1), (1, 2)], 2, None, vec![]),
            (vec![(0, 1), (1, 1), (2, 2), (3, 2)], 2, None, vec![]),
            (vec![(0, 1), (1, 2)], 1, None, vec![]),
            (vec![], 1, None, vec![]),
        ] {
            let said: Vec<_> = said.into_iter().map(|(at, n)| (at, hash(n))).collect();
            let verdict = judge(&said, quorum);
            assert_eq!((verdict.agreed, verdict.dissent), (agreed.map(hash), dissent), "{said:?} {quorum}");
        }
    }
}
