//! Pools, lists and a disputed deal, as the chain has them and as the model does.

use alloy::primitives::{Address, B256, U256};
use protocol::{
    arbitration::{List, Pool, Registry, appeal_time, smallest_list, span, validate, worst_case},
    caip::AssetId,
    deal::DealState,
    evm::{
        call, deal_id, pool_id,
        pools::ArbitrationPools::{storePageCall, worstCaseCall},
    },
    terms::Terms,
    wire::feed::RuleBook,
};

use crate::{
    dice::Dice,
    ground::{Call, Ground},
    history::Difference,
    world::{Who, World, account, address, members},
};

/// A disputed deal and the pools that may hear it.
#[derive(Debug)]
pub struct Court {
    pub registry: Registry,
    pub terms: Terms,
    pub deal: B256,
    pub state: DealState,
}

/// The only keeper.
const KEEPER: Who = Who::Stranger;

fn any_book(dice: &mut Dice<'_>, salt: B256, parent: B256) -> RuleBook {
    let seconds =
        |dice: &mut Dice<'_>, least: u64, more: u64| u32::try_from(least + dice.below(more)).unwrap();
    RuleBook {
        keeper: address(KEEPER),
        parent,
        jury_size: dice.of(&[3, 1, 5, 3]),
        delay: dice.of(&[0, 0, 4]),
        opening: seconds(dice, 60, 40),
        voting: seconds(dice, 1, 60),
        appeal: if parent.is_zero() { 0 } else { seconds(dice, 1, 100) },
        salt,
    }
}

/// `count` members with a key each, and sometimes the parties among them; ascending.
fn any_members(dice: &mut Dice<'_>, count: usize) -> Vec<Address> {
    let all = members();
    let from = usize::try_from(dice.below(24)).unwrap();
    let mut list = all[from..from + count].to_vec();
    if dice.once_in(2) {
        list.extend([Who::Buyer, Who::Seller].map(address));
    }
    list.sort_unstable();
    list
}

impl Court {
    /// Neither the pool nor its parent had a list when the deal was funded.
    pub fn has_no_list(&self) -> bool {
        let pools = &self.registry.0;
        let own = &pools[&self.terms.panel];
        let listless = |pool: &Pool| pool.list_at(self.state.funded_at).is_none();
        listless(own) && pools.get(&own.book.parent).is_none_or(listless)
    }
}

impl<G: Ground> World<G> {
    fn create(&mut self, registry: &mut Registry, book: RuleBook) -> B256 {
        assert_eq!(validate(&book), Ok(()));
        let pool = pool_id(&book);
        self.must(address(KEEPER), self.pools.address, call::create_pool(&book));
        registry.0.insert(pool, Pool { book, lists: Vec::new() });
        pool
    }

    fn publish(&mut self, registry: &mut Registry, pool: B256, members: Vec<Address>, pages: usize) {
        let (keeper, contract) = (address(KEEPER), self.pools.address);
        let mut stored = Vec::new();
        for page in members.chunks(members.len().div_ceil(pages)) {
            stored.push(self.ask(contract, &storePageCall { members: page.to_vec() }));
            self.must(keeper, contract, call::store_page(page.to_vec()));
        }
        self.must(keeper, contract, call::publish(pool, stored));
        let pool = registry.0.get_mut(&pool).unwrap();
        let effective_at = self.ground.now() + u64::from(pool.book.delay.max(1));
        pool.lists.push(List { effective_at, members });
    }
}

/// Makes pools, funds a deal that names one, and disputes it.
///
/// # Errors
/// The contract names another worst case than the model.
pub fn any<G: Ground>(world: &mut World<G>, dice: &mut Dice<'_>) -> Result<Court, Difference> {
    let mut registry = Registry::default();
    let salt = B256::from(U256::from(world.ground.now()));
    let mut parent = None;
    if !dice.once_in(5) {
        let book = any_book(dice, salt, B256::ZERO);
        parent = Some(world.create(&mut registry, book));
    }
    let book = any_book(dice, salt, parent.unwrap_or_default());
    let own = world.create(&mut registry, book.clone());
    if let Some(pool) = parent {
        let least = smallest_list(registry.0[&pool].book.jury_size);
        // Often enough for two juries besides those who sat before, often not quite.
        let more = usize::from(book.jury_size) * 2 + 2;
        let short = if dice.once_in(3) { usize::try_from(dice.below(more as u64)).unwrap() } else { 0 };
        let count = least + more - short;
        let list = any_members(dice, count);
        world.publish(&mut registry, pool, list, 1 + usize::from(dice.once_in(3)));
    }
    let published = if dice.once_in(6) { 0 } else { 1 + usize::from(dice.once_in(4)) };
    for _ in 0..published {
        let more = usize::try_from(dice.below(10)).unwrap();
        let list = any_members(dice, smallest_list(book.jury_size) + more);
        world.publish(&mut registry, own, list, 1 + usize::from(dice.once_in(3)));
    }
    for (id, pool) in &registry.0 {
        let parent = registry.0.get(&pool.book.parent).map(|parent| &parent.book);
        let told = world.ask(world.pools.address, &worstCaseCall { pool: *id });
        if told != U256::from(worst_case(&pool.book, parent)) {
            return Err(format!("the contract gives {told} as the worst case of {pool:?}"));
        }
    }
    let terms = any_terms(world, dice, &registry, own);
    Ok(dispute(world, dice, registry, terms))
}

fn any_terms<G: Ground>(world: &World<G>, dice: &mut Dice<'_>, registry: &Registry, panel: B256) -> Terms {
    let book = &registry.0[&panel].book;
    let alone = span(book);
    let heard = registry.0.get(&book.parent).map_or(0, |parent| appeal_time(book, &parent.book));
    let ruling =
        dice.of(&[400_000, alone + heard + 10, alone + heard, alone + heard - 1, alone, alone / 2 + 1]);
    let fund_by = world.ground.now() + 100;
    Terms {
        escrow: world.escrow,
        buyer: account(address(Who::Buyer)),
        seller: account(address(if dice.once_in(5) { Who::DeafSeller } else { Who::Seller })),
        arbiter: world.pools,
        asset: AssetId { chain: world.escrow.chain, token: None },
        amount: 1 + dice.up_to(1_000_000_000),
        fund_by: fund_by + if dice.once_in(2) { 1_000_000 } else { 0 },
        deliver_by: fund_by + 2_000_000,
        inspection: 100,
        ruling: u32::try_from(ruling).unwrap(),
        lapse_share: u16::try_from(dice.below(10_001)).unwrap(),
        metered: false,
        panel,
        agreement: B256::repeat_byte(0xa9),
        salt: B256::from(U256::from(world.ground.now())),
    }
}

fn dispute<G: Ground>(
    world: &mut World<G>,
    dice: &mut Dice<'_>,
    mut registry: Registry,
    terms: Terms,
) -> Court {
    let deal = deal_id(&terms).unwrap();
    let (buyer, escrow) = (terms.buyer.address, terms.escrow.address);
    let (_, signature) = world.sign(terms.seller.address, deal, true);
    let data = call::fund(&terms, signature).unwrap();
    let time = world.ground.now() + 1 + dice.below(6);
    let value = U256::from(terms.amount);
    world.ground.send(Call { from: buyer, to: escrow, data, value }, time).unwrap();
    if dice.once_in(5) {
        // Too late to matter.
        let list = any_members(dice, smallest_list(registry.0[&terms.panel].book.jury_size));
        world.publish(&mut registry, terms.panel, list, 1);
    }
    world.must(buyer, escrow, call::dispute(&terms, B256::ZERO, None).unwrap());
    let state = world.state_of(deal);
    Court { registry, terms, deal, state }
}
