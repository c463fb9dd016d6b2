//! Mints and accounts of both token programs.

use anchor_spl::token_2022::spl_token_2022::{
    extension::ExtensionType,
    instruction as token,
    state::{Account as TokenAccount, Mint},
};
use protocol::solana::{self, Instruction, Pubkey};
use solana_sdk::{
    account::Account,
    program_pack::Pack,
    signature::{Keypair, Signer},
};

use crate::{Svm, key, keypair};

/// The first token program.
pub const TOKEN: Pubkey = anchor_spl::token::ID;
/// The one with extensions.
pub const TOKEN_2022: Pubkey = anchor_spl::token_2022::ID;

/// An extension of a mint, with the instruction that sets it up before the mint itself.
#[derive(Clone, Debug)]
pub struct Extension {
    pub kind: ExtensionType,
    pub setup: Instruction,
}

impl Svm {
    /// A mint without extensions, whose authority is [`Self::mint_authority`]; 6 decimals.
    pub fn mint(&mut self, number: u64, program: Pubkey) -> Pubkey {
        self.mint_with(number, program, &[])
    }

    /// Who mints every token of the tests.
    pub fn mint_authority() -> Keypair {
        keypair(u64::MAX - 1)
    }

    /// The key of mint `number`, before it is made.
    pub fn mint_key(number: u64) -> Keypair {
        keypair(u64::MAX - 1_000 - number)
    }

    /// A mint with extensions. `number` tells the mints of a machine apart.
    pub fn mint_with(&mut self, number: u64, program: Pubkey, extensions: &[Extension]) -> Pubkey {
        let mint = Self::mint_key(number);
        let kinds: Vec<_> = extensions.iter().map(|extension| extension.kind).collect();
        let size = match kinds.is_empty() {
            true => Mint::LEN,
            false => ExtensionType::try_calculate_account_len::<Mint>(&kinds).unwrap(),
        };
        let lamports = self.vm.minimum_balance_for_rent_exemption(size);
        let empty = Account {
            lamports,
            data: vec![0; size],
            owner: program.to_bytes().into(),
            executable: false,
            rent_epoch: u64::MAX,
        };
        self.set_account(&key(&mint), empty);
        let authority = key(&Self::mint_authority());
        let mut instructions: Vec<_> = extensions.iter().map(|extension| extension.setup.clone()).collect();
        instructions
            .push(token::initialize_mint2(&program, &key(&mint), &authority, Some(&authority), 6).unwrap());
        self.must(&instructions, &[]);
        Pubkey::new_from_array(mint.pubkey().to_bytes())
    }

    /// The owner's associated account of a mint, with this balance on top of what it has; made where it is not there.
    pub fn give_tokens(&mut self, owner: &Pubkey, mint: &Pubkey, program: Pubkey, amount: u64) -> Pubkey {
        let address = solana::associated_token(owner, mint, &program);
        if self.account(&address).is_none() {
            let payer = key(&self.payer);
            let create = anchor_spl::associated_token::spl_associated_token_account::instruction::create_associated_token_account(
                &payer, owner, mint, &program,
            );
            self.must(&[create], &[]);
        }
        if amount > 0 {
            let authority = Self::mint_authority();
            let mint_to = token::mint_to(&program, mint, &address, &key(&authority), &[], amount).unwrap();
            self.must(&[mint_to], &[&authority]);
        }
        address
    }

    /// Lets an account of tokens hold exactly so much, and `delegate` move any of it.
    pub fn set_tokens(&mut self, account: &Pubkey, amount: u64, delegate: Option<Pubkey>) {
        let mut there = self.account(account).unwrap();
        let mut tokens = TokenAccount::unpack(&there.data).unwrap();
        tokens.amount = amount;
        tokens.delegate = delegate.into();
        tokens.delegated_amount = delegate.map_or(0, |_| u64::MAX);
        TokenAccount::pack(tokens, &mut there.data).unwrap();
        self.set_account(account, there);
    }

    /// Lets `delegate` move up to `amount` out of the owner's associated account.
    pub fn allow(&mut self, owner: &Keypair, mint: &Pubkey, program: Pubkey, delegate: &Pubkey, amount: u64) {
        let account = solana::associated_token(&key(owner), mint, &program);
        let approve = token::approve(&program, &account, delegate, &key(owner), &[], amount).unwrap();
        self.must(&[approve], &[owner]);
    }

    /// What an account of tokens has; zero where there is none.
    pub fn tokens(&self, account: &Pubkey) -> u64 {
        use anchor_spl::token_2022::spl_token_2022::extension::StateWithExtensions;
        self.account(account).map_or(0, |account| {
            StateWithExtensions::<TokenAccount>::unpack(&account.data).unwrap().base.amount
        })
    }
}
