//! The kinds of chain that can be followed. Nothing else in the indexer asks which kind one is.

use std::sync::Arc;

use alloy::primitives::{B256, Bytes, Log, LogData};
use futures::future;
use protocol::{
    chain::{AccountId, Address, ChainId, Cluster},
    evm::decode_event,
    solana::{from_key, list_members, program},
    wire::{
        feed::{Call, CallOutcome, EventBody},
        view::{MemberList, Pool},
    },
};
use service::http::Problem;
use tokio::sync::Notify;

use super::{
    evm,
    follow::{Ground, Progress},
    rpc::{Limits, Node, Nodes, RpcError},
    solana,
};
use crate::{
    Error,
    config::{ChainConfig, key_of},
};

/// The name that a local cluster goes by, whatever its first block: a name of the rule that others have would change with
/// every start.
const LOCAL_CLUSTER: &str = "solana:EarnestLoca1Net11111111111111111";

/// What a node serves.
pub(crate) enum Served {
    /// The wanted chain; with the hash of its first block where that is how nodes tell it.
    Wanted(Option<B256>),
    /// Another chain.
    Other(String),
}

/// Asks a node what it serves.
pub(super) async fn served(nodes: &Nodes, node: &Node, wanted: ChainId) -> Result<Served, RpcError> {
    match wanted {
        ChainId::Eip155(_) => {
            let served = evm::rpc::chain_of(nodes, node).await?;
            Ok(if served == wanted { Served::Wanted(None) } else { Served::Other(served.to_string()) })
        }
        ChainId::Solana(_) => {
            let genesis = solana::rpc::genesis_of(nodes, node).await?;
            let served = ChainId::Solana(Cluster::of_genesis(genesis.0));
            Ok(if served == wanted || wanted.to_string() == LOCAL_CLUSTER {
                Served::Wanted(Some(genesis))
            } else {
                Served::Other(served.to_string())
            })
        }
    }
}

/// Refuses accounts that cannot be watched on their chain, with the rule.
pub(crate) fn watchable(contract: &AccountId) -> Result<(), &'static str> {
    match contract.chain {
        ChainId::Eip155(_) => Ok(()),
        chain @ ChainId::Solana(_) => {
            let own = [program(), protocol::solana::arbiter()].map(|key| from_key(&key));
            if protocol::solana::chain() == Ok(chain) && own.contains(&contract.address) {
                Ok(())
            } else {
                Err("on Solana, the program that this build is for, or its arbiter")
            }
        }
    }
}

/// The nodes of a chain.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Evm(Arc<evm::rpc::Rpc>),
    Solana(Arc<solana::rpc::Rpc>),
}

impl Source {
    pub fn new(config: &ChainConfig, chain: ChainId) -> Result<Self, Error> {
        let limits = Limits {
            timeout: config.request_timeout(),
            answer_bytes_max: usize::try_from(config.answer_bytes_max).unwrap_or(usize::MAX),
            quorum: config.quorum.map(|quorum| usize::try_from(quorum).unwrap_or(usize::MAX)),
        };
        let nodes = Nodes::new(&config.rpc_urls, chain, limits);
        let nodes = nodes.map_err(|index| Error::Config {
            key: key_of(chain, "rpc_urls"),
            // Not the URL itself, which may hold a key.
            value: format!("not a URL in position {index}"),
            rule: "http:// or https:// URLs",
        })?;
        Ok(Self::of(nodes, chain))
    }

    /// By nodes of any transport.
    pub fn of(nodes: Nodes, chain: ChainId) -> Self {
        match chain {
            ChainId::Eip155(_) => Self::Evm(Arc::new(evm::rpc::Rpc(nodes))),
            ChainId::Solana(_) => Self::Solana(Arc::new(solana::rpc::Rpc(nodes))),
        }
    }

    /// Its nodes.
    pub fn nodes(&self) -> &Nodes {
        match self {
            Self::Evm(rpc) => &rpc.0,
            Self::Solana(rpc) => &rpc.0,
        }
    }

    pub fn following(&self, config: &ChainConfig, chain: ChainId, contracts: Arc<[AccountId]>) -> Following {
        match self {
            Self::Evm(rpc) => {
                Following::Evm(Box::new(evm::follow::Following::new(rpc.clone(), config, chain, &contracts)))
            }
            Self::Solana(rpc) => Following::Solana(Box::new(solana::follow::Following::new(
                rpc.clone(),
                config,
                chain,
                contracts,
            ))),
        }
    }

    /// Notifies `wake` when there may be something new, for ever; does nothing where no WebSocket is configured.
    pub async fn listen(&self, config: &ChainConfig, wake: &Arc<Notify>) {
        match (self, &config.ws_url) {
            (Self::Solana(_), Some(url)) => {
                solana::wake::listen(url, &from_key(&program()).to_string(), wake).await;
            }
            (Self::Evm(_), _) | (Self::Solana(_), None) => future::pending().await,
        }
    }

    /// A read-only call of a contract.
    pub async fn call(&self, call: &Call) -> Result<CallOutcome, Problem> {
        let refuse = |rule: &str| Err(Problem::invalid(format!("to is {}, but {rule}", call.to)).at("/to"));
        match (self, call.to.address.evm()) {
            (Self::Evm(rpc), Some(to)) => Ok(rpc.call(to, &call.data).await.map_err(Error::from)?),
            (Self::Evm(_), None) => refuse("must be an EVM account"),
            (Self::Solana(_), _) => {
                refuse("programs on Solana cannot be asked: see /v1/deals, /v1/cases and /v1/pools")
            }
        }
    }

    /// The members of a list that a pool published, in order.
    ///
    /// # Errors
    /// The node does not tell them, perhaps not yet; in words.
    pub async fn members(&self, pool: &Pool, list: &MemberList) -> Result<Vec<Address>, String> {
        match self {
            Self::Evm(rpc) => evm::members(rpc, pool, list).await,
            Self::Solana(rpc) => {
                let at = list.pages.first().ok_or("no account is known of it")?;
                let data = rpc.account_data(*at).await.map_err(|error| error.to_string())?;
                let data = data.ok_or("it does not know it")?;
                let (head, members) = list_members(&data).map_err(|error| error.to_string())?;
                if head.size == list.size {
                    Ok(members.iter().map(from_key).collect())
                } else {
                    Err(format!("it has {} members, and was published with {}", head.size, list.size))
                }
            }
        }
    }
}

/// Follows a chain.
pub(crate) enum Following {
    Evm(Box<evm::follow::Following>),
    Solana(Box<solana::follow::Following>),
}

impl Following {
    /// One look at the chain and at most one step.
    pub async fn tick(&mut self, ground: &mut Ground) -> Result<Progress, Error> {
        match self {
            Self::Evm(following) => following.tick(ground).await,
            Self::Solana(following) => following.tick(ground).await,
        }
    }
}

/// The event of a log that is kept. What was judged before it was kept is not judged again.
///
/// # Errors
/// It is none; in words.
pub(crate) fn read_again(contract: AccountId, topics: Vec<B256>, data: Bytes) -> Result<EventBody, String> {
    let (ChainId::Eip155(_), Some(address)) = (contract.chain, contract.address.evm()) else {
        return decode(contract, topics, data);
    };
    let log = Log { address, data: LogData::new_unchecked(topics, data) };
    decode_event(contract, &log).map_err(|error| error.to_string())
}

/// The event that a log tells, as it came from the chain.
///
/// # Errors
/// It is none; in words.
pub(crate) fn decode(contract: AccountId, topics: Vec<B256>, data: Bytes) -> Result<EventBody, String> {
    match contract.chain {
        ChainId::Eip155(_) => {
            let address = contract.address.evm().unwrap_or_default();
            evm::decode(contract, &Log { address, data: LogData::new_unchecked(topics, data) })
        }
        ChainId::Solana(_) => match solana::decode(contract.chain, &data)? {
            (teller, body) if teller == contract => Ok(body),
            (teller, _) => Err(format!("it is {teller}'s")),
        },
    }
}
