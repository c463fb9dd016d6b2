//! Which mints of Token-2022 can be held in escrow: every extension there is, one at a time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use anchor_spl::token_2022::spl_token_2022::{
    extension::{
        ExtensionType as E, confidential_transfer, default_account_state, group_member_pointer,
        group_pointer, interest_bearing_mint, metadata_pointer, pausable, scaled_ui_amount, transfer_fee,
        transfer_hook,
    },
    instruction as token,
    state::{Account as TokenAccount, AccountState, Mint},
};
use protocol::solana::{self, Instruction, Pubkey};
use solana_sdk::program_pack::Pack;
use svm::{
    Extension, Svm, TOKEN_2022, key, keypair,
    trade::{AMOUNT, FUND_BY, FUNDED, Setting, Trade},
};

/// What an extension is to a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Safe,
    Unsafe,
    /// No mint has it.
    OfAccounts,
}

/// An extension that the crate learns of must be judged here, or this does not compile.
fn judgement(extension: E) -> Judgement {
    match extension {
        E::MetadataPointer
        | E::TokenMetadata
        | E::GroupPointer
        | E::TokenGroup
        | E::GroupMemberPointer
        | E::TokenGroupMember
        | E::InterestBearingConfig
        | E::ScaledUiAmount => Judgement::Safe,
        E::TransferFeeConfig
        | E::MintCloseAuthority
        | E::ConfidentialTransferMint
        | E::DefaultAccountState
        | E::NonTransferable
        | E::PermanentDelegate
        | E::TransferHook
        | E::ConfidentialTransferFeeConfig
        | E::ConfidentialMintBurn
        | E::Pausable => Judgement::Unsafe,
        E::Uninitialized
        | E::TransferFeeAmount
        | E::ConfidentialTransferAccount
        | E::ImmutableOwner
        | E::MemoTransfer
        | E::CpiGuard
        | E::NonTransferableAccount
        | E::TransferHookAccount
        | E::ConfidentialTransferFeeAmount
        | E::PausableAccount => Judgement::OfAccounts,
    }
}

/// Every extension that the crate knows.
fn known() -> Vec<E> {
    let known: Vec<_> = (0..=u16::MAX).map_while(|number| E::try_from(number).ok()).collect();
    assert!(known.len() >= 28, "{known:?}");
    known
}

/// The extension's own instruction, where it comes before the mint's and asks for no other extension.
fn setup(extension: E, mint: &Pubkey) -> Option<Instruction> {
    let program = &TOKEN_2022;
    let somebody = key(&keypair(50));
    let instruction = match extension {
        E::TransferFeeConfig => transfer_fee::instruction::initialize_transfer_fee_config(
            program,
            mint,
            Some(&somebody),
            None,
            0,
            0,
        ),
        E::MintCloseAuthority => token::initialize_mint_close_authority(program, mint, Some(&somebody)),
        E::ConfidentialTransferMint => {
            confidential_transfer::instruction::initialize_mint(program, mint, Some(somebody), true, None)
        }
        E::DefaultAccountState => default_account_state::instruction::initialize_default_account_state(
            program,
            mint,
            &AccountState::Initialized,
        ),
        E::NonTransferable => token::initialize_non_transferable_mint(program, mint),
        E::PermanentDelegate => token::initialize_permanent_delegate(program, mint, &somebody),
        E::TransferHook => transfer_hook::instruction::initialize(program, mint, Some(somebody), None),
        E::Pausable => pausable::instruction::initialize(program, mint, &somebody),
        E::InterestBearingConfig => {
            interest_bearing_mint::instruction::initialize(program, mint, Some(somebody), 500)
        }
        E::ScaledUiAmount => scaled_ui_amount::instruction::initialize(program, mint, Some(somebody), 2.0),
        E::MetadataPointer => metadata_pointer::instruction::initialize(program, mint, None, Some(*mint)),
        E::GroupPointer => group_pointer::instruction::initialize(program, mint, None, Some(*mint)),
        E::GroupMemberPointer => {
            group_member_pointer::instruction::initialize(program, mint, None, Some(*mint))
        }
        _ => return None,
    };
    Some(instruction.unwrap())
}

/// Bytes of an extension's value.
fn length(extension: E) -> usize {
    match extension {
        // Two keys, and four lengths of nothing.
        E::TokenMetadata => 2 * 32 + 4 * 4,
        sized => {
            let with = E::try_calculate_account_len::<Mint>(&[sized]).unwrap();
            with - TokenAccount::LEN - 1 - 4
        }
    }
}

/// A mint's bytes with an extension of this type and so many zeros.
fn with_zeros(plain: &[u8], extension: u16, length: usize) -> Vec<u8> {
    let mut data = plain[..Mint::LEN].to_vec();
    data.resize(TokenAccount::LEN, 0);
    data.push(1);
    data.extend(extension.to_le_bytes());
    data.extend(u16::try_from(length).unwrap().to_le_bytes());
    data.resize(data.len() + length, 0);
    data
}

/// A trade whose mint gets these bytes once the parties have their accounts.
fn trade_of(svm: &mut Svm, data: impl Fn(&[u8]) -> Vec<u8>) -> Trade {
    let trade = Trade::set(svm, Setting { token: Some(TOKEN_2022), ..Setting::default() });
    let mint = trade.deal.terms.mint;
    let mut account = svm.account(&mint).unwrap();
    account.data = data(&account.data);
    account.lamports = svm.vm.minimum_balance_for_rent_exemption(account.data.len());
    svm.set_account(&mint, account);
    svm.set_time(FUNDED);
    trade
}

/// A trade with a mint that has this extension: as the token program sets it up where it does, else by its bytes.
fn extended(svm: &mut Svm, extension: E) -> Trade {
    let mint = key(&Svm::mint_key(500));
    let set_up = setup(extension, &mint).map(|setup| {
        svm.mint_with(500, TOKEN_2022, &[Extension { kind: extension, setup }]);
        svm.account(&mint).unwrap().data
    });
    trade_of(svm, |plain| {
        set_up.clone().unwrap_or_else(|| with_zeros(plain, extension.into(), length(extension)))
    })
}

fn refusal(svm: &mut Svm, trade: &Trade) -> Option<&'static str> {
    let fund = trade.deal.fund(&trade.funding(), 0);
    svm.send(&fund, &[&trade.buyer]).unwrap_err().refusal(None)
}

#[test]
fn every_unsafe_extension_is_refused_by_name() {
    for extension in known() {
        if judgement(extension) == Judgement::Unsafe {
            let mut svm = Svm::start();
            let trade = extended(&mut svm, extension);
            assert_eq!(refusal(&mut svm, &trade), Some("UnsafeMint"), "{extension:?}");
            assert!(svm.account(&trade.deal.address).is_none());
        }
    }
}

#[test]
fn every_safe_extension_is_funded_and_paid_out() {
    let mut safe = 0;
    for extension in known() {
        if judgement(extension) == Judgement::Safe {
            let mut svm = Svm::start();
            let trade = extended(&mut svm, extension);
            let mint = trade.deal.terms.mint;
            let of = |party| solana::associated_token(&party, &mint, &TOKEN_2022);
            let before = svm.tokens(&of(trade.deal.terms.buyer));
            svm.must(&trade.deal.fund(&trade.funding(), 0), &[&trade.buyer]);
            svm.must(&trade.deal.refund(key(&trade.seller), 1, None, 0), &[&trade.seller]);
            svm.must(&trade.deal.release(key(&trade.buyer), AMOUNT - 1, None, 0), &[&trade.buyer]);
            assert_eq!(svm.tokens(&of(trade.deal.terms.seller)), AMOUNT - 1, "{extension:?}");
            assert_eq!(svm.tokens(&of(trade.deal.terms.buyer)), before - AMOUNT + 1, "{extension:?}");
            svm.set_time(FUND_BY + 1);
            svm.must(&[trade.deal.close(key(&trade.buyer), &[])], &[]);
            safe += 1;
        }
    }
    assert_eq!(safe, 8);
}

#[test]
fn an_extension_yet_to_be_invented_is_refused() {
    let next = u16::try_from(known().len()).unwrap();
    for number in [next, 1_000, u16::MAX] {
        let mut svm = Svm::start();
        let trade = trade_of(&mut svm, |plain| with_zeros(plain, number, 32));
        assert_eq!(refusal(&mut svm, &trade), Some("UnsafeMint"), "{number}");
    }
}

#[test]
fn a_safe_extension_does_not_hide_an_unsafe_one() {
    let mut svm = Svm::start();
    let trade = trade_of(&mut svm, |plain| {
        let mut data = with_zeros(plain, E::MetadataPointer.into(), length(E::MetadataPointer));
        data.extend(u16::from(E::PermanentDelegate).to_le_bytes());
        data.extend(u16::try_from(length(E::PermanentDelegate)).unwrap().to_le_bytes());
        data.resize(data.len() + length(E::PermanentDelegate), 0);
        data
    });
    assert_eq!(refusal(&mut svm, &trade), Some("UnsafeMint"));
}

/// The parties choose the mint, and with it who may freeze.
#[test]
fn a_freeze_authority_is_no_extension() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting { token: Some(TOKEN_2022), ..Setting::default() });
    let mint = Mint::unpack(&svm.account(&trade.deal.terms.mint).unwrap().data).unwrap();
    assert!(mint.freeze_authority.is_some());
    trade.fund(&mut svm);
}
