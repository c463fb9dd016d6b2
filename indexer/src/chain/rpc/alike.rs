//! What a quorum of the nodes tells alike.

use super::{Node, Nodes, RpcError};

impl Nodes {
    /// What a quorum of the nodes tells alike; none where as many do not have it. They are asked one after another, no more of
    /// them than it takes. Who tells otherwise than a quorum lied.
    ///
    /// # Errors
    /// Neither; `what` says of what.
    pub async fn alike<'a, T: PartialEq, F: Future<Output = Result<Option<T>, RpcError>>>(
        &'a self,
        what: &str,
        ask: impl Fn(&'a Node) -> F,
    ) -> Result<Option<T>, RpcError> {
        let mut said: Vec<(usize, T)> = Vec::new();
        let (mut without, mut failed) = (0_usize, None);
        for node in self.in_turn() {
            let told = async {
                self.right(node).await?;
                ask(node).await
            };
            match told.await {
                Ok(Some(told)) => said.push((self.position(node), told)),
                // It may have let go of it, or not have it yet.
                Ok(None) => without = without.saturating_add(1),
                Err(error) => failed = Some(error),
            }
            let votes = |one: &T| said.iter().filter(|(_, other)| other == one).count();
            let agreed = said.iter().position(|(_, one)| votes(one) >= self.quorum);
            if let Some(agreed) = agreed {
                let (_, agreed) = said.swap_remove(agreed);
                for (at, _) in said.iter().filter(|(_, told)| *told != agreed) {
                    self.misled(*at, format!("{} nodes tell {what} otherwise", self.quorum));
                }
                return Ok(Some(agreed));
            }
        }
        if without >= self.quorum {
            return Ok(None);
        }
        let why = failed.map(|error| format!(": {error}")).unwrap_or_default();
        Err(RpcError::Inconsistent(format!("no {} nodes tell {what} alike{why}", self.quorum)))
    }
}
