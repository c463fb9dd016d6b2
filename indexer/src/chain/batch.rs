//! How many things are asked for in one batch: fewer where nodes refuse, more again after a while.

use super::rpc::RpcError;

/// Answers in a row after which more is tried again.
const FORGETS: u32 = 50;

/// The size of the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    size: u64,
    max: u64,
    answered: u32,
}

impl Batch {
    /// At most `max` of them, at least one.
    pub fn new(max: u64) -> Self {
        let max = max.max(1);
        Self { size: max, max, answered: 0 }
    }

    /// 1 to the largest.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// A batch was answered.
    pub fn answered(&mut self) {
        self.answered = self.answered.saturating_add(1);
        if self.answered >= FORGETS {
            self.answered = 0;
            self.size = self.size.saturating_mul(2).min(self.max);
        }
    }

    /// A batch was not answered: half of it is next, for whatever fails may fail for its size. True where the node said that
    /// it was too much, and less can be asked for at once.
    pub fn refused(&mut self, error: &RpcError) -> bool {
        let too_large = matches!(error, RpcError::TooLarge { .. });
        let less = self.size > 1 && (too_large || matches!(error, RpcError::Failed { .. }));
        if less {
            (self.size, self.answered) = (self.size / 2, 0);
        }
        less && too_large
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, FORGETS};
    use crate::chain::rpc::RpcError;

    #[test]
    fn a_batch_halves_when_it_is_refused_and_grows_again_after_a_while() {
        let (method, reason) = ("eth_call", String::new);
        let too_large = RpcError::TooLarge { method, reason: reason(), hint: None };
        let failed = RpcError::Failed { method, reason: reason() };
        let mut batch = Batch::new(5);
        assert!(!batch.refused(&RpcError::Busy { method, reason: reason() }));
        assert!(!batch.refused(&RpcError::Inconsistent(reason())));
        assert_eq!(batch.size(), 5, "less is no help against these");
        assert!(batch.refused(&too_large));
        assert_eq!(batch.size(), 2);
        assert!(!batch.refused(&failed), "it may be away: that is not asked again at once");
        assert_eq!(batch.size(), 1);
        assert!(!batch.refused(&too_large), "nothing is less than one");
        assert_eq!(batch.size(), 1);
        for _ in 1..FORGETS {
            batch.answered();
        }
        assert_eq!(batch.size(), 1);
        batch.answered();
        assert_eq!(batch.size(), 2);
        assert_eq!(Batch::new(0).size(), 1);
    }
}
