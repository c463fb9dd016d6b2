//! What nodes say when they refuse. Providers have neither a code nor words in common: this is the table of theirs.

/// What a provider asks for in place of a range of blocks that it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// This range, first and last block, would be answered.
    Range(u64, u64),
    /// No more than so many blocks at once.
    Blocks(u64),
}

/// How a refusal is to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is too much at once: ask for less.
    TooLarge(Option<Hint>),
    /// It is too often: ask later, and less at one time.
    Busy,
    /// The node does not know the block, the tag or the method.
    Unknown,
    /// Anything else.
    Failed,
}

/// Words that tell of a limit of requests in a time. Before all others: Infura and QuickNode use the codes of other things.
const BUSY: [&str; 10] = [
    "too many requests",
    "rate limit",
    "request limit",
    "request rate",
    "daily request count",
    "compute units per second",
    "throughput",
    "throttle",
    "over capacity",
    "no backends available",
];

/// Words after which a provider names a range that it would answer.
const RANGES: [&str; 3] = ["block range should work", "with this block range", "retry with the range"];

/// Words around the number of blocks that a provider takes at once: it is the next number after them.
const BLOCKS: [&str; 16] = [
    "limit the query to at most",
    "number of requested blocks is",
    "requests with up to",
    "is limited to 0 -",
    "are limited to",
    "is limited to",
    "maximum is set to",
    "maximum block range",
    "max block range",
    "ranges over",
    "blocks distance",
    "max range",
    "max is",
    "smaller than size",
    "maximum allowed is",
    "allowed for your plan",
];

/// Words that tell of too much, without saying how much would do.
const TOO_LARGE: [&str; 18] = [
    "too many results",
    "query returned more than",
    "exceeds max results",
    "query exceeds limit",
    "exceeds limit of",
    "response size",
    "response is too big",
    "response too large",
    "too large",
    "block range",
    "range is too",
    "range too",
    "requested too many blocks",
    "exceeds the range",
    "exceeds the limit",
    "max results",
    "query timeout exceeded",
    "blocks range",
];

/// Words that tell of a call that the contract itself ended, by a revert or by what no contract may do.
const HALTS: [&str; 16] = [
    "revert",
    "opcode",
    "out of gas",
    "outofgas",
    "gas required exceeds",
    "gas uint64 overflow",
    "invalid jump",
    "invalidjump",
    "stack limit",
    "stack underflow",
    "stackunderflow",
    "stackoverflow",
    "write protection",
    "return data out of bounds",
    "evm error",
    "vm execution error",
];

/// Whether an error is the called contract's, and none of the node: by code 3 or its words.
pub(crate) fn halted(code: i64, message: &str) -> bool {
    let words = message.to_lowercase();
    code == 3 || HALTS.iter().any(|sign| words.contains(sign))
}

/// Solana's codes for a slot without a block, and for what the node does not have yet.
const fn not_there(code: i64) -> bool {
    matches!(code, -32004 | -32007 | -32009 | -32014 | -32016)
}

/// Reads an error by its code and its words.
pub(crate) fn read(code: i64, message: &str) -> Refusal {
    let words = message.to_lowercase();
    if code == 429 || code == -32029 || BUSY.iter().any(|sign| words.contains(sign)) {
        return Refusal::Busy;
    }
    if let Some(hint) = hint(&words) {
        return Refusal::TooLarge(Some(hint));
    }
    if matches!(code, -32005 | -32614) || TOO_LARGE.iter().any(|sign| words.contains(sign)) {
        return Refusal::TooLarge(None);
    }
    // What a node says that has not come so far yet.
    let unknown =
        ["not found", "could not be found", "unknown block"].iter().any(|sign| words.contains(sign));
    if matches!(code, -32601 | -32602 | -39001) || not_there(code) || unknown {
        return Refusal::Unknown;
    }
    Refusal::Failed
}

fn hint(words: &str) -> Option<Hint> {
    for sign in RANGES {
        let Some((_, after)) = words.split_once(sign) else { continue };
        let mut numbers = Numbers(after);
        if let (Some(from), Some(to)) = (numbers.next(), numbers.next())
            && from <= to
        {
            return Some(Hint::Range(from, to));
        }
    }
    let blocks = BLOCKS.iter().find_map(|sign| {
        let (_, after) = words.split_once(sign)?;
        // A number far behind the words is about something else.
        Numbers(after.get(..40).unwrap_or(after)).find(|blocks| *blocks > 0)
    });
    blocks.map(Hint::Blocks)
}

/// The numbers in a text: `0x1f`, `10,000`, `24000000-24000500`, `2k`.
struct Numbers<'a>(&'a str);

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            let at = self.0.find(|c: char| c.is_ascii_digit())?;
            let text = self.0.get(at..)?;
            let (digits, radix) = match text.strip_prefix("0x") {
                Some(hex) => (hex, 16),
                None => (text, 10),
            };
            let in_number = |c: char| c.is_digit(radix) || (radix == 10 && matches!(c, ',' | '_'));
            let end = digits.find(|c| !in_number(c)).unwrap_or(digits.len());
            let (number, rest) = digits.split_at_checked(end)?;
            self.0 = rest;
            let number: String = number.chars().filter(char::is_ascii_alphanumeric).collect();
            let Ok(number) = u64::from_str_radix(&number, radix) else { continue };
            let thousands = radix == 10
                && rest.strip_prefix('k').is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
            return Some(if thousands { number.saturating_mul(1_000) } else { number });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Hint, Refusal, halted, read};

    #[test]
    fn every_providers_words_are_understood() {
        let range = |from, to| Refusal::TooLarge(Some(Hint::Range(from, to)));
        let blocks = |blocks| Refusal::TooLarge(Some(Hint::Blocks(blocks)));
        let less = Refusal::TooLarge(None);
        for (provider, code, message, refusal) in [
            (
                "Alchemy",
                -32602,
                "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on \
                 the response size, or you can request any block range with a cap of 10K logs in the response. Based on your \
                 parameters and the response size limit, this block range should work: [0x10d4f, 0x10f38]",
                range(0x10d4f, 0x10f38),
            ),
            (
                "Alchemy, free",
                -32600,
                "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Upgrade to PAYG",
                blocks(10),
            ),
            (
                "Infura",
                -32005,
                "query returned more than 10000 results. Try with this block range [0x121A2E9, 0x121A2FF].",
                range(0x121_a2e9, 0x121_a2ff),
            ),
            ("Infura", -32005, "daily request count exceeded, request rate limited", Refusal::Busy),
            ("Infura", -32005, "query returned more than 10000 results", less),
            ("QuickNode", -32614, "eth_getLogs is limited to a 10,000 range", blocks(10_000)),
            (
                "QuickNode",
                -32602,
                "eth_getLogs and eth_newFilter are limited to a 10,000 blocks range",
                blocks(10_000),
            ),
            ("QuickNode", -32007, "50/second request limit reached - reduce calls per second", Refusal::Busy),
            (
                "QuickNode on Solana",
                -32007,
                "Slot 7 was skipped, or missing due to ledger jump",
                Refusal::Unknown,
            ),
            ("Ankr", -32600, "block range is too wide", less),
            ("Base", -32000, "please limit the query to at most 1000 blocks", blocks(1_000)),
            ("Base", -32011, "no backends available for method", Refusal::Busy),
            (
                "Chainstack",
                -32600,
                "Block range limit exceeded. See more details at https://docs.chainstack.com/docs/limits#evm-range-limits",
                less,
            ),
            (
                "BlockPI",
                -32602,
                "eth_getLogs is limited to 1024 block range. Please check the parameter",
                blocks(1_024),
            ),
            ("1RPC", -32602, "eth_getLogs is limited to 0 - 10000 blocks range", blocks(10_000)),
            (
                "Cloudflare",
                -32047,
                "Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: 800",
                blocks(800),
            ),
            ("thirdweb", -32000, "Maximum allowed number of requested blocks is 3,500", blocks(3_500)),
            ("dRPC", -32602, "ranges over 10000 blocks are not supported on freetier", blocks(10_000)),
            ("PublicNode", -32602, "exceed maximum block range: 50000", blocks(50_000)),
            (
                "Avalanche",
                -32000,
                "requested too many blocks from 1 to 5000, maximum is set to 2048",
                blocks(2_048),
            ),
            ("Merkle", -32602, "eth_getLogs range is too large, max is 1k blocks", blocks(1_000)),
            ("Harmony", -32000, "query must be smaller than size 1024", blocks(1_024)),
            ("Evmos", -32000, "maximum [from, to] blocks distance: 10000", blocks(10_000)),
            ("Hyperliquid", -32602, "query exceeds max block range 1000", blocks(1_000)),
            (
                "reth",
                -32602,
                "query exceeds max results 20000, retry with the range 24000000-24000500",
                range(24_000_000, 24_000_500),
            ),
            ("reth", -32602, "query exceeds max block range 100000", blocks(100_000)),
            ("Arbitrum", -32000, "logs matched by query exceeds limit of 10000", less),
            ("Optimism", -32008, "backend response too large", less),
            ("BNB", -32005, "limit exceeded", less),
            ("geth", -32000, "query timeout exceeded", less),
            ("Alchemy", 429, "Your app has exceeded its compute units per second capacity.", Refusal::Busy),
            ("geth", -39001, "finalized block not found", Refusal::Unknown),
            (
                "geth",
                -32601,
                "the method eth_getBlockReceipts does not exist/is not available",
                Refusal::Unknown,
            ),
            ("geth", -32602, "invalid argument 0: unknown tag", Refusal::Unknown),
            ("geth", -32000, "header not found", Refusal::Unknown),
            ("geth", -32000, "unknown block", Refusal::Unknown),
            ("Nethermind", -32001, "0x1f could not be found", Refusal::Unknown),
            ("anyone", -32603, "internal error", Refusal::Failed),
            // A range that is none helps nobody.
            ("anyone", -32000, "try with this block range [0x20, 0x10]", less),
        ] {
            assert_eq!(read(code, message), refusal, "{provider}: {message}");
        }
    }

    #[test]
    fn what_a_contract_does_is_no_refusal_of_the_node() {
        for (code, message, contract) in [
            (3, "anything", true),
            (-32000, "execution reverted: too many requests", true),
            (-32000, "invalid opcode: INVALID", true),
            (-32603, "EVM error InvalidFEOpcode", true),
            (-32000, "out of gas", true),
            (-32000, "stack underflow (0 <=> 2)", true),
            (-32000, "header not found", false),
            (-32000, "execution aborted (timeout = 5s)", false),
            (-32603, "internal error", false),
            (-32005, "daily request count exceeded, request rate limited", false),
        ] {
            assert_eq!(halted(code, message), contract, "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(code: i64, words in ".{0,60}", sign in 0_usize..16, more in "[0-9xk,. \\[\\]-]{0,60}") {
            let sign = super::BLOCKS[sign];
            if let Refusal::TooLarge(Some(Hint::Range(from, to))) = read(code, &format!("{words}{sign}{more}")) {
                prop_assert!(from <= to);
            }
        }
    }
}
