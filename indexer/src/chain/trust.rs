//! What is believed of a chain and its providers, and why: kept over restarts.

use alloy::primitives::B256;
use protocol::wire::view::{BlockRef, FaultKind};
use sqlx::AnyConnection;

use super::{
    follow::Ground,
    rpc::{Caught, Nodes},
};
use crate::{
    Error,
    columns::{Columns, int},
    faults,
};

/// What is believed of one chain.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    loaded: bool,
    /// Whether the providers that are accused were distrusted after the start.
    warned: bool,
    /// Whether the chain has told a final block by its own tag: then nothing else makes one final.
    pub tags: bool,
    /// Up to here it is proven that no log is missing.
    pub proven: Option<BlockRef>,
    /// Logs that the proof found missing.
    pub missed: u64,
    /// Whether something that was told is proven not to be so on the chain: nothing more is told.
    pub disproven: bool,
    /// Whether the fault about a missing quorum is open; none where that is not known yet.
    no_quorum: Option<bool>,
}

/// What the fault about what was disproven is about: there is one at a time, about the first such block.
const PROOF: &str = "proof";

/// The row of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub tags: bool,
    pub proven: Option<BlockRef>,
    pub missed: u64,
    pub accepted: Option<B256>,
}

/// What is kept of a chain; nothing is the same as what nobody has told yet.
pub(crate) async fn row(on: &mut AnyConnection, chain: i64) -> Result<Row, Error> {
    let row = sqlx::query("SELECT * FROM trust WHERE chain = $1").bind(chain).fetch_optional(on).await?;
    let Some(row) = row else { return Ok(Row::default()) };
    let proven = row.number_or_none("proven_number")?.zip(row.parsed_or_none("proven_hash")?);
    Ok(Row {
        tags: row.number("tags")? == 1,
        proven: proven.map(|(number, hash)| BlockRef { number, hash }),
        missed: row.number("missed")?,
        accepted: row.parsed_or_none("accepted")?,
    })
}

/// Keeps a row.
pub(crate) async fn keep(on: &mut AnyConnection, chain: i64, row: &Row) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO trust (chain, tags, proven_number, proven_hash, missed, accepted) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (chain) DO UPDATE SET tags = excluded.tags, \
         proven_number = excluded.proven_number, proven_hash = excluded.proven_hash, missed = excluded.missed, \
         accepted = excluded.accepted",
    )
    .bind(chain)
    .bind(i64::from(row.tags))
    .bind(row.proven.map(|block| int(block.number)))
    .bind(row.proven.map(|block| block.hash.to_string()))
    .bind(int(row.missed))
    .bind(row.accepted.map(|hash| hash.to_string()))
    .execute(on)
    .await?;
    Ok(())
}

/// The highest block with a log that left the chain and did not come back; 0 where there is none.
pub(crate) async fn left(on: &mut AnyConnection, chain: i64) -> Result<u64, Error> {
    let query = "SELECT COALESCE(MAX(block_number), 0) AS block FROM logs WHERE chain = $1 AND canonical = 0";
    sqlx::query(query).bind(chain).fetch_one(on).await?.number("block")
}

impl Trust {
    /// Reads what is kept, once.
    pub async fn load(&mut self, ground: &Ground) -> Result<(), Error> {
        if !self.loaded {
            let (chain, reader) = (ground.chain.number, &mut *ground.shared.db.reader().acquire().await?);
            let kept = row(&mut *reader, chain).await?;
            (self.tags, self.proven, self.missed) = (kept.tags, kept.proven, kept.missed);
            self.disproven = faults::is_open(reader, chain, FaultKind::Disproven, PROOF).await?;
            ground.chain.beat(|pulse| pulse.disproven = self.disproven);
            self.loaded = true;
        }
        Ok(())
    }

    /// Changes the row. What the operator accepts may have come from another process meanwhile: it is read again.
    async fn change(&mut self, ground: &Ground, change: impl FnOnce(&mut Row)) -> Result<(), Error> {
        let mut write = ground.shared.db.begin().await?;
        let mut kept = row(write.on(), ground.chain.number).await?;
        change(&mut kept);
        keep(write.on(), ground.chain.number, &kept).await?;
        write.commit().await?;
        (self.tags, self.proven, self.missed) = (kept.tags, kept.proven, kept.missed);
        Ok(())
    }

    /// The chain tells what is final by a tag of its own, and is held to that from now on.
    pub async fn has_tags(&mut self, ground: &Ground) -> Result<(), Error> {
        if self.tags { Ok(()) } else { self.change(ground, |row| row.tags = true).await }
    }

    /// It is proven up to a block that no log is missing; so many were found missing on the way there.
    pub async fn prove(&mut self, ground: &Ground, block: BlockRef, missed: u64) -> Result<(), Error> {
        self.change(ground, |row| {
            row.proven = Some(block);
            row.missed = row.missed.saturating_add(missed);
        })
        .await
    }

    /// Notes how what was told differs from what is proven, or that it no longer does.
    pub async fn disproves(&mut self, ground: &Ground, differs: Option<&str>) -> Result<(), Error> {
        if self.disproven == differs.is_some() {
            return Ok(());
        }
        match differs {
            Some(detail) => ground.note(FaultKind::Disproven, PROOF, detail).await?,
            None => ground.clear(FaultKind::Disproven, PROOF).await?,
        }
        self.disproven = differs.is_some();
        ground.chain.beat(|pulse| pulse.disproven = self.disproven);
        Ok(())
    }

    /// The block with which the operator accepts a chain past what was final.
    pub async fn accepted(&self, ground: &Ground) -> Result<Option<B256>, Error> {
        Ok(row(&mut *ground.shared.db.reader().acquire().await?, ground.chain.number).await?.accepted)
    }

    /// Reads anew what a step may have changed.
    pub async fn again(&mut self, ground: &Ground) -> Result<(), Error> {
        self.loaded = false;
        self.load(ground).await
    }

    /// Whether enough nodes agree on what is final, and in what words they do not.
    pub async fn quorum(&mut self, ground: &Ground, missing: Option<String>) -> Result<(), Error> {
        let open = missing.is_some();
        if self.no_quorum == Some(open) {
            return Ok(());
        }
        match missing {
            Some(words) => {
                tracing::error!(words, "no quorum: nothing more is told as final");
                ground.note(FaultKind::NoQuorum, "finality", &words).await?;
            }
            None => ground.clear(FaultKind::NoQuorum, "finality").await?,
        }
        self.no_quorum = Some(open);
        Ok(())
    }

    /// Distrusts, once, the providers that were accused before the process started.
    pub async fn warn(&mut self, ground: &Ground) -> Result<(), Error> {
        if self.warned {
            return Ok(());
        }
        let (chain, lies) = (ground.chain.number, FaultKind::ProviderLies);
        let accused = faults::subjects(&mut *ground.shared.db.reader().acquire().await?, chain, lies).await?;
        for gone in ground.chain.source.nodes().suspect(accused) {
            ground.clear(lies, &gone).await?;
        }
        self.warned = true;
        Ok(())
    }

    /// Records who was caught lying, and who agrees again.
    pub async fn record(&self, ground: &Ground, nodes: &Nodes) -> Result<(), Error> {
        while let Some(caught) = nodes.caught() {
            let Caught { host, lie } = &caught;
            match lie {
                Some(words) => ground.note(FaultKind::ProviderLies, host, words).await?,
                None => ground.clear(FaultKind::ProviderLies, host).await?,
            }
            nodes.recorded(&caught);
        }
        Ok(())
    }
}

/// Within a step: whatever stood in its way is over, and so is what the operator accepted. Where what was final above
/// `fork` left the chain, nothing is proven of what replaced it.
pub(crate) async fn cut(on: &mut AnyConnection, chain: i64, fork: Option<BlockRef>) -> Result<(), Error> {
    let kept = row(&mut *on, chain).await?;
    let proven = kept.proven.map(|proven| fork.filter(|fork| fork.number < proven.number).unwrap_or(proven));
    let cut = Row { proven, accepted: None, ..kept };
    if cut == kept { Ok(()) } else { keep(on, chain, &cut).await }
}

/// Has the follower of a chain go on past what was final: on the branch with this block, once it meets it there.
pub(crate) async fn accept(on: &mut AnyConnection, chain: i64, block: B256) -> Result<(), Error> {
    let mut kept = row(&mut *on, chain).await?;
    kept.accepted = Some(block);
    keep(on, chain, &kept).await
}
