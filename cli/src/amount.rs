//! Amounts for people. JSON keeps the smallest unit; a table says coins, exactly.

use std::fmt::Display;

use protocol::chain::{AssetId, ChainId};

/// The decimals of a chain's own coin, and what its smallest unit is called: 10^18 wei on every EVM chain, 10^9 lamports on
/// Solana.
pub const fn unit(chain: ChainId) -> (usize, &'static str) {
    match chain {
        ChainId::Eip155(_) => (18, "wei"),
        ChainId::Solana(_) => (9, "lamports"),
    }
}

/// How many smallest units make one coin of a chain.
pub const fn one_coin(chain: ChainId) -> u128 {
    match chain {
        ChainId::Eip155(_) => 1_000_000_000_000_000_000,
        ChainId::Solana(_) => 1_000_000_000,
    }
}

/// Smallest units, a whole number of any width, as coins of a chain: an exact decimal without trailing zeros, e.g. `0.25`.
pub fn coins(chain: ChainId, units: impl Display) -> String {
    let (decimals, _) = unit(chain);
    decimal(decimals, units)
}

/// A whole number of any width of the smallest unit, as an exact decimal without trailing zeros.
pub fn decimal(decimals: usize, units: impl Display) -> String {
    let digits = format!("{:0>width$}", units.to_string(), width = decimals.saturating_add(1));
    let (whole, part) = digits.split_at(digits.len().saturating_sub(decimals));
    match part.trim_end_matches('0') {
        "" => whole.to_owned(),
        part => format!("{whole}.{part}"),
    }
}

/// An amount of an asset: coins and smallest units of the native coin; of a token, whose decimals only its contract knows, the
/// smallest unit.
pub fn of(asset: &AssetId, amount: impl Display) -> String {
    if asset.token.is_some() {
        return format!("{amount} {asset}");
    }
    let (_, unit) = unit(asset.chain);
    format!("{} coins ({amount} {unit}) on {}", coins(asset.chain, &amount), asset.chain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_decimal_is_its_digits_with_the_point_moved(units: u128, decimals in 0..60_usize) {
            let text = decimal(decimals, units);
            let (whole, part) = text.split_once('.').unwrap_or((text.as_str(), ""));
            prop_assert!(whole == "0" || !(whole.is_empty() || whole.starts_with('0')), "{text}");
            prop_assert!(part.len() <= decimals && !part.ends_with('0') && !text.ends_with('.'), "{text}");
            let all = format!("{whole}{part:0<decimals$}");
            let digits = if units == 0 { String::new() } else { units.to_string() };
            prop_assert_eq!(all.trim_start_matches('0'), digits.as_str());
        }
    }

    #[test]
    fn coins_are_exact() {
        let one = 1_000_000_000_000_000_000;
        for (wei, text) in [
            (0_u128, "0"),
            (1, "0.000000000000000001"),
            (5_000, "0.000000000000005"),
            (250_000_000_000_000_000, "0.25"),
            (one, "1"),
            (one + 1, "1.000000000000000001"),
            (100 * one, "100"),
            (99_749_946_301_741_710_984, "99.749946301741710984"),
            (u128::MAX, "340282366920938463463.374607431768211455"),
        ] {
            assert_eq!(coins(ChainId::Eip155(1), wei), text, "{wei}");
        }
    }

    #[test]
    fn only_the_native_coin_is_told_in_coins() {
        let asset = |text: &str| text.parse::<AssetId>().unwrap();
        let native = of(&asset("eip155:31337/slip44:60"), 250_000_000_000_000_000_u128);
        assert_eq!(native, "0.25 coins (250000000000000000 wei) on eip155:31337");
        let sol = of(&asset("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501"), 1_500_000_001_u64);
        assert_eq!(sol, "1.500000001 coins (1500000001 lamports) on solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp");
        let token = "eip155:1/erc20:0x6B175474E89094C44Da98b954EedeAC495271d0F";
        assert_eq!(of(&asset(token), 7_u128), format!("7 {token}"));
    }
}
