//! The rules of control alone: the table of recoveries, and random histories.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};
use protocol::chain::AccountId;
use serde_json::json;

use crate::{
    identity::{
        control::{ASK_LIFE_MS, Act, Change, Control, DEVICES_MAX, PASSKEYS_MAX, Refused, Rule, WALLETS_MAX},
        passkey::Passkey,
        recovery::{Stage, Step, step},
    },
    records::{Device, DeviceKey, RecordId},
    testing::{Authenticator, Person, account},
};

const DELAY_MS: i64 = 1_000;

fn record(number: usize) -> RecordId {
    RecordId::of(&json!({ "number": number })).unwrap()
}

fn wallet(number: usize) -> AccountId {
    account(Person::keys(u8::try_from(number + 1).unwrap()).0.address())
}

fn device(number: usize) -> Device {
    DeviceKey::from_seed([u8::try_from(number + 1).unwrap(); 32]).device()
}

fn passkey(number: usize) -> Passkey {
    Authenticator::ed25519("https://hub.example", u8::try_from(number + 1).unwrap()).passkey()
}

fn add_passkey(which: usize, sign_count: u32, by: usize) -> Act {
    Act::AddPasskey { passkey: passkey(which), credential: which.to_string(), sign_count, by: wallet(by) }
}

fn rule(guardians: usize, threshold: u8) -> Rule {
    Rule { guardians: (0..guardians).map(record).collect(), threshold, delay_ms: DELAY_MS }
}

fn act(control: &mut Control, act: &Act, now: i64) -> Result<(), Refused> {
    for change in control.decide(act, now)? {
        control.apply(change);
    }
    Ok(())
}

/// A device takes a word away: its own, or another's by a wallet.
fn silence(which: usize, signer: usize, by: Option<usize>) -> Act {
    Act::RevokeDevice { device: device(which), signer: device(signer), by: by.map(wallet) }
}

fn begun() -> Control {
    let mut control = Control::default();
    act(&mut control, &Act::Begin { wallet: wallet(0), device: device(0) }, 0).unwrap();
    control
}

#[test]
fn every_stage_and_step() {
    use Stage::{Asked, Lapsed, Recovered, Vetoed, Waiting};
    let steps = [Step::Approve, Step::Suffice, Step::Veto, Step::TimeOver, Step::Overtaken];
    let closed = |stage| [(); 5].map(|()| Err(Refused::Closed(stage)));
    for (stage, expected) in [
        (Asked, [Ok(Asked), Ok(Waiting), Ok(Vetoed), Ok(Lapsed), Ok(Lapsed)]),
        (Waiting, [Err(Refused::Enough), Err(Refused::Enough), Ok(Vetoed), Ok(Recovered), Ok(Lapsed)]),
        (Recovered, closed(Recovered)),
        (Vetoed, closed(Vetoed)),
        (Lapsed, closed(Lapsed)),
    ] {
        assert_eq!(steps.map(|one| step(stage, one)), expected, "{stage:?}");
        assert_eq!(stage.name().parse(), Ok(stage));
    }
    assert!("open".parse::<Stage>().is_err());
}

#[test]
fn the_last_wallet_stays_and_only_wallets_that_stay_speak() {
    let mut control = begun();
    let revoke =
        |wallet_, by| Act::RevokeWallet { wallet: wallet(wallet_), device: device(0), by: wallet(by) };
    assert_eq!(act(&mut control, &revoke(0, 0), 1), Err(Refused::LastWallet(wallet(0))));
    let add = |joins, by| Act::AddWallet { wallet: wallet(joins), device: device(joins), by: wallet(by) };
    assert_eq!(act(&mut control, &add(1, 1), 1), Err(Refused::ForeignWallet(wallet(1))));
    act(&mut control, &add(1, 0), 1).unwrap();
    assert_eq!(act(&mut control, &revoke(2, 0), 1), Err(Refused::ForeignWallet(wallet(2))));
    assert_eq!(act(&mut control, &revoke(0, 0), 1), Err(Refused::OwnWord));
    act(&mut control, &Act::AddDevice { device: device(5), by: wallet(0) }, 1).unwrap();
    // Devices 0 and 5 stand by wallet 0; the one that signs goes over to wallet 1, the other is silent.
    act(&mut control, &revoke(0, 1), 2).unwrap();
    assert_eq!(control.wallets, BTreeSet::from([wallet(1)]));
    assert_eq!(
        (control.devices[&device(0)].speaks, control.devices[&device(0)].wallet),
        (true, Some(wallet(1)))
    );
    assert!(control.devices[&device(1)].speaks && !control.devices[&device(5)].speaks);
    let unknown = Err(Refused::UnknownDevice(device(5)));
    assert_eq!(act(&mut control, &silence(5, 0, Some(1)), 2), unknown);
}

#[test]
fn an_account_has_room_for_so_many() {
    let mut control = begun();
    for number in 1..WALLETS_MAX {
        let add = Act::AddWallet { wallet: wallet(number), device: device(0), by: wallet(0) };
        act(&mut control, &add, 1).unwrap();
    }
    let add = |number| Act::AddWallet { wallet: wallet(number), device: device(0), by: wallet(0) };
    assert_eq!(act(&mut control, &add(WALLETS_MAX), 1), Err(Refused::Full(WALLETS_MAX, "wallets")));
    act(&mut control, &add(1), 1).unwrap();
    // Those that are silent take no place.
    for number in 1..250 {
        act(&mut control, &Act::AddDevice { device: device(number), by: wallet(0) }, 1).unwrap();
        act(&mut control, &silence(number, number, None), 1).unwrap();
    }
    for number in 1..DEVICES_MAX {
        act(&mut control, &Act::AddDevice { device: device(number), by: wallet(0) }, 1).unwrap();
    }
    let full = Err(Refused::Full(DEVICES_MAX, "devices"));
    assert_eq!(act(&mut control, &Act::AddDevice { device: device(200), by: wallet(0) }, 1), full);
    act(&mut control, &Act::AddDevice { device: device(1), by: wallet(0) }, 1).unwrap();
}

#[test]
fn passkeys_let_devices_speak_and_nothing_else() {
    let mut control = begun();
    let add = |number| add_passkey(number, 0, 0);
    let brings = |which, number| Act::AddDeviceByPasskey {
        device: device(which),
        passkey: passkey(number),
        sign_count: 0,
    };
    assert_eq!(act(&mut control, &brings(1, 0), 1), Err(Refused::ForeignPasskey(passkey(0))));
    assert_eq!(act(&mut control, &add_passkey(0, 0, 1), 1), Err(Refused::ForeignWallet(wallet(1))));
    for number in 0..PASSKEYS_MAX {
        act(&mut control, &add(number), 1).unwrap();
    }
    assert_eq!(act(&mut control, &add(0), 1), Err(Refused::KnownPasskey(passkey(0))));
    assert_eq!(act(&mut control, &add(PASSKEYS_MAX), 1), Err(Refused::Full(PASSKEYS_MAX, "passkeys")));
    for which in 1..DEVICES_MAX {
        act(&mut control, &brings(which, which % 2), 1).unwrap();
    }
    let full = Err(Refused::Full(DEVICES_MAX, "devices"));
    assert_eq!(act(&mut control, &brings(200, 0), 1), full);
    // Devices 1 and 3 stand by passkey 1; the one that signs goes over to the wallet.
    let revoke = Act::RevokePasskey { passkey: passkey(1), device: device(3), by: wallet(0) };
    act(&mut control, &revoke, 2).unwrap();
    assert!(!control.devices[&device(1)].speaks && control.devices[&device(2)].speaks);
    let third = control.devices[&device(3)];
    assert_eq!((third.speaks, third.wallet, third.passkey), (true, Some(wallet(0)), None));
    assert_eq!(act(&mut control, &brings(1, 1), 2), Err(Refused::ForeignPasskey(passkey(1))));
    // A wallet that goes takes all that stands by its word.
    let joins = Act::AddWallet { wallet: wallet(1), device: device(0), by: wallet(0) };
    act(&mut control, &joins, 3).unwrap();
    let gone = Act::RevokeWallet { wallet: wallet(0), device: device(2), by: wallet(1) };
    act(&mut control, &gone, 4).unwrap();
    assert!(control.passkeys.is_empty());
    let speak: Vec<_> = control.devices.iter().filter(|(_, one)| one.speaks).map(|(one, _)| *one).collect();
    assert_eq!(BTreeSet::from_iter(speak), BTreeSet::from([device(0), device(2)]));
}

#[test]
fn a_rule_can_be_kept() {
    let mut control = begun();
    for (guardians, threshold, sound) in [
        (0, 0, false),
        (0, 1, false),
        (3, 0, false),
        (3, 1, true),
        (3, 3, true),
        (3, 4, false),
        (9, 2, false),
    ] {
        let set = Act::SetRule { rule: Some(rule(guardians, threshold)), by: wallet(0) };
        assert_eq!(act(&mut control, &set, 1).is_ok(), sound, "{threshold} of {guardians}");
    }
}

/// What happens in one step, as random numbers.
type Happening = (u8, usize, usize, usize, i64);

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    vec((0..16_u8, 0..4_usize, 0..4_usize, 0..4_usize, 0..700_i64), 1..60)
}

/// How often an authenticator says that it has signed: never, of every other one.
fn count(wait: i64) -> u32 {
    u32::try_from(wait).unwrap() * u32::from(wait % 2 == 0)
}

/// What a history of recoveries says by itself: since when enough agree, and whether somebody said no.
#[derive(Default)]
struct Told {
    agreed: BTreeSet<RecordId>,
    enough_at: Option<i64>,
    refused: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn an_account_is_never_without_a_wallet_and_goes_to_nobody_unasked(happenings in happenings()) {
        let mut control = begun();
        let mut told: BTreeMap<RecordId, Told> = BTreeMap::new();
        let (mut now, mut asked) = (0_i64, 100_usize);
        for (choice, one, two, three, wait) in happenings {
            now += wait;
            let known: Vec<RecordId> = control.recoveries.keys().copied().collect();
            let id = known.get(one * known.len() / 4).copied().unwrap_or_else(|| record(99));
            let what = match choice {
                0 => Act::AddWallet { wallet: wallet(one), device: device(two), by: wallet(three) },
                1 => Act::RevokeWallet { wallet: wallet(one), device: device(two), by: wallet(three) },
                2 => Act::AddDevice { device: device(one), by: wallet(two) },
                3 => silence(one, two, (wait % 2 == 0).then_some(three)),
                4 if three > 0 => Act::SetRule {
                    rule: Some(rule(three, u8::try_from(one.min(three - 1) + 1).unwrap())), by: wallet(two),
                },
                4 => Act::SetRule { rule: None, by: wallet(two) },
                5 | 6 => {
                    asked += 1;
                    Act::Ask { id: record(asked), guardian: record(one), wallet: wallet(two), device: device(three) }
                }
                7 | 8 => Act::Approve { id, guardian: record(two) },
                9 => Act::Veto { id, by: wallet(two) },
                10 => add_passkey(one, count(wait), two),
                11 => Act::RevokePasskey { passkey: passkey(one), device: device(two), by: wallet(three) },
                12 | 13 => Act::AddDeviceByPasskey {
                    device: device(one), passkey: passkey(two), sign_count: count(wait),
                },
                _ => Act::End { id, free: three > 0 },
            };
            let before = control.clone();
            let came = act(&mut control, &what, now);
            // Somebody always controls it, and who speaks does so by a wallet that does.
            prop_assert!(!control.wallets.is_empty() && control.wallets.len() <= WALLETS_MAX);
            for standing in control.devices.values().filter(|standing| standing.speaks) {
                prop_assert!(standing.wallet.is_some_and(|wallet| control.wallets.contains(&wallet)));
                let keeper = standing.passkey.map(|passkey| control.passkeys.get(&passkey));
                prop_assert!(keeper.is_none_or(|keeper| keeper.is_some_and(|one| Some(one.wallet) == standing.wallet)));
            }
            for (passkey, keeper) in &control.passkeys {
                prop_assert!(control.wallets.contains(&keeper.wallet));
                let had = before.passkeys.get(passkey);
                let joins = matches!(what, Act::AddPasskey { .. });
                prop_assert!(had.is_some() || joins);
                prop_assert!(had.is_none_or(|had| had.sign_count <= keeper.sign_count));
            }
            if came.is_err() {
                prop_assert_eq!(&before, &control);
                continue;
            }
            for (id, recovery) in &before.recoveries {
                if !recovery.stage.is_open() {
                    prop_assert_eq!(recovery, &control.recoveries[id]);
                }
            }
            match &what {
                Act::AddWallet { by, .. } | Act::RevokeWallet { by, .. } | Act::SetRule { by, .. } | Act::Veto { by, .. } => {
                    prop_assert!(before.wallets.contains(by));
                }
                Act::AddPasskey { by, .. } | Act::RevokePasskey { by, .. } => {
                    prop_assert!(before.wallets.contains(by));
                    prop_assert_eq!(&before.wallets, &control.wallets);
                }
                Act::AddDeviceByPasskey { passkey, sign_count, .. } => {
                    let had = before.passkeys[passkey].sign_count;
                    prop_assert!(*sign_count > had || (*sign_count, had) == (0, 0));
                    prop_assert_eq!(&before.wallets, &control.wallets);
                }
                Act::End { .. } => {}
                // Another device is silenced by a wallet alone.
                Act::RevokeDevice { device, signer, by } => {
                    prop_assert!(device == signer || by.is_some());
                    prop_assert!(by.is_none_or(|by| before.wallets.contains(&by)));
                    prop_assert_eq!(&before.wallets, &control.wallets);
                }
                _ => prop_assert_eq!(&before.wallets, &control.wallets),
            }
            // Of each guardian one recovery is open, at most.
            let open = control.recoveries.values().filter(|one| one.stage.is_open());
            let askers: BTreeSet<_> = open.clone().map(|one| one.asked_by).collect();
            prop_assert_eq!(askers.len(), open.count());
            match &what {
                Act::SetRule { .. } => told.values_mut().for_each(|one| one.refused = true),
                Act::Veto { id, .. } => told.get_mut(id).unwrap().refused = true,
                Act::Ask { id, guardian, .. } | Act::Approve { id, guardian } => {
                    let rule = before.rule.as_ref().unwrap();
                    prop_assert!(rule.guardians.contains(guardian));
                    let one = told.entry(*id).or_default();
                    prop_assert!(one.agreed.insert(*guardian));
                    if one.agreed.len() == usize::from(rule.threshold) {
                        one.enough_at = Some(now);
                    }
                }
                Act::End { id, free } => {
                    let recovery = &control.recoveries[id];
                    let one = &told[id];
                    if recovery.stage == Stage::Recovered {
                        prop_assert!(*free && !one.refused);
                        prop_assert!(one.enough_at.is_some_and(|at| now >= at + DELAY_MS));
                        prop_assert_eq!(&control.wallets, &BTreeSet::from([recovery.wallet]));
                        let speak: Vec<_> = control.devices.iter().filter(|(_, one)| one.speaks).collect();
                        prop_assert_eq!(speak.len(), 1);
                        prop_assert_eq!(speak[0].0, &recovery.device);
                        prop_assert!(control.passkeys.is_empty());
                        prop_assert!(control.recoveries.values().all(|one| !one.stage.is_open()));
                    } else {
                        prop_assert_eq!(&before.wallets, &control.wallets);
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_guardian_asks_for_one_at_a_time_and_so_often_a_month() {
    let mut control = begun();
    act(&mut control, &Act::SetRule { rule: Some(rule(2, 1)), by: wallet(0) }, 0).unwrap();
    let ask = |number: usize, guardian: usize| Act::Ask {
        id: record(100 + number),
        guardian: record(guardian),
        wallet: wallet(7),
        device: device(7),
    };
    // Enough agree at once: that one ends before the next.
    act(&mut control, &ask(0, 0), 1).unwrap();
    assert_eq!(act(&mut control, &ask(1, 0), 2), Err(Refused::AskedAlready(record(0))));
    act(&mut control, &ask(2, 1), 2).unwrap();
    for number in 3..10 {
        act(
            &mut control,
            &Act::Veto { id: record(100 + if number == 3 { 0 } else { number - 1 }), by: wallet(0) },
            3,
        )
        .unwrap();
        act(&mut control, &ask(number, 0), 3).unwrap();
    }
    act(&mut control, &Act::Veto { id: record(109), by: wallet(0) }, 4).unwrap();
    assert_eq!(act(&mut control, &ask(10, 0), 5), Err(Refused::AskedOften(record(0))));
    // The other guardian's are his own; and a month later there is room again.
    act(&mut control, &Act::Veto { id: record(102), by: wallet(0) }, 5).unwrap();
    act(&mut control, &ask(11, 1), 6).unwrap();
    act(&mut control, &ask(12, 0), 4 + ASK_LIFE_MS).unwrap();
}

#[test]
fn guardians_recover_an_account_after_the_delay() {
    let mut control = begun();
    act(&mut control, &Act::SetRule { rule: Some(rule(3, 2)), by: wallet(0) }, 0).unwrap();
    let ask = |number: usize, guardian: usize| Act::Ask {
        id: record(100 + number),
        guardian: record(guardian),
        wallet: wallet(7),
        device: device(7),
    };
    let approve = |guardian: usize| Act::Approve { id: record(101), guardian: record(guardian) };
    let end = |free| Act::End { id: record(101), free };
    assert_eq!(act(&mut control, &ask(0, 5), 1), Err(Refused::NotGuardian(record(5))));
    act(&mut control, &ask(0, 0), 1).unwrap();
    // Asking again takes back what was asked before.
    act(&mut control, &ask(1, 0), 2).unwrap();
    assert_eq!(control.recoveries[&record(100)].stage, Stage::Lapsed);
    assert_eq!(act(&mut control, &approve(0), 3), Err(Refused::AgreedAlready(record(0))));
    assert_eq!(act(&mut control, &end(true), 3), Err(Refused::TooEarly(2 + ASK_LIFE_MS)));
    let mut late = control.clone();
    act(&mut late, &end(true), 2 + ASK_LIFE_MS).unwrap();
    assert_eq!((late.recoveries[&record(101)].stage, late.wallets), (Stage::Lapsed, control.wallets.clone()));
    act(&mut control, &approve(1), 10).unwrap();
    assert_eq!(control.recoveries[&record(101)].stage, Stage::Waiting);
    assert_eq!(act(&mut control, &approve(2), 11), Err(Refused::Enough));
    assert_eq!(act(&mut control, &end(true), 9 + DELAY_MS), Err(Refused::TooEarly(10 + DELAY_MS)));
    let mut vetoed = control.clone();
    act(&mut vetoed, &Act::Veto { id: record(101), by: wallet(0) }, 12).unwrap();
    let over = act(&mut vetoed, &end(true), 10 + DELAY_MS);
    assert_eq!(over, Err(Refused::Closed(Stage::Vetoed)));
    let mut elsewhere = control.clone();
    act(&mut elsewhere, &end(false), 10 + DELAY_MS).unwrap();
    assert_eq!(elsewhere.recoveries[&record(101)].stage, Stage::Lapsed);
    act(&mut control, &end(true), 10 + DELAY_MS).unwrap();
    assert_eq!(control.wallets, BTreeSet::from([wallet(7)]));
    assert!(!control.devices[&device(0)].speaks && control.devices[&device(7)].speaks);
    // A change takes nothing that was not decided.
    assert!(matches!(control.decide(&end(true), 10 + DELAY_MS), Err(Refused::Closed(_))));
    let rule_gone = control.decide(&Act::SetRule { rule: None, by: wallet(7) }, 20).unwrap();
    assert_eq!(rule_gone, [Change::Rule(None)]);
}
