//! The vectors of Sign-In with Ethereum that are signed (`test/validation_positive.json`, `test/validation_negative.json`,
//! `test/verification_positive.json`, `test/verification_negative.json` and `test/eip1271.json` of the reference implementation,
//! spruceid/siwe), with the names that they have there.

use alloy::primitives::eip191_hash_message;
use protocol::chain::Signed;

use super::{
    super::{
        model::{Authorisation, Word},
        nonce,
        siwx::Demands,
    },
    *,
};

fn message_of(address: &str, nonce: &str, rest: &str) -> String {
    format!(
        "login.xyz wants you to sign in with your Ethereum account:\n{address}\n\n\
         Sign-In With Ethereum Example Statement\n\n\
         URI: https://login.xyz\nVersion: 1\nChain ID: 1\nNonce: {nonce}\n{rest}"
    )
}

const EXAMPLE: &str = "0xdc35c7f8ba2720df052e0092556456127f00f7707eaa8e3bbff7e56774e7f2e0\
    5a093cfc9e02964c33d86e8e066e221b7d153d27e5a2e97ccd5ca7d3f2ce06cb1b";

fn example() -> String {
    let rest = "Issued At: 2022-01-27T17:09:38.578Z\nExpiration Time: 2100-01-07T14:31:43.952Z";
    message_of("0x9D85ca56217D2bb651b00f15e694EB7E713637D4", "bTyXgcQxn2htgkjJn", rest)
}

const EARLY: &str = "0xc2539ace78f13c7eb8c0852d38d269a6f97bebd9f7872097d2e3137b541f8bf5\
    0176062a46eeea83086bd2721423fb5755a932ff6ccc046ed482d14e4576042f1c";

fn early() -> String {
    let rest = "Issued At: 2022-01-05T14:27:30.883Z\nNot Before: 2100-01-07T14:31:43.952Z";
    message_of("0xE6D3Aa1F561A215E5eb1f02Ba8705385F03fCaFB", "lx2nx4so", rest)
}

const EXPIRED: &str = "0x7337bc2826c7678cd6bc84f5b3b236efc969b0451f9feca2328b1d3401b030c1\
    13f19bdba359ba3f52762c66e9147311fa95fe598a1a4ec9bb383a7b4e3874241b";

fn expired() -> String {
    let rest = "Issued At: 2022-01-05T14:27:30.883Z\nExpiration Time: 2021-01-05T00:00:00Z";
    message_of("0x2ecA0068307e706741445764A3D6A4402aC2A5a9", "lx2nx4so", rest)
}

/// Who can say whether the wallet signed this text.
fn signed_by(text: &str, signature: &str) -> Option<Signed> {
    let word = Word {
        text: text.to_owned(),
        message: text.parse().unwrap(),
        signature: hex::decode(signature.trim_start_matches("0x")).unwrap(),
        field: String::new(),
    };
    crate::identity::signed(&word)
}

/// Only the wallet's contract can.
fn asked(text: &str) -> Option<Signed> {
    Some(Signed::AskContract(eip191_hash_message(text)))
}

/// What a hub of this domain, whose URL is that of the vectors, says of a message at a time.
fn meets(text: &str, domain: &str, now: &str) -> Result<(), &'static str> {
    let now: Stamp = now.parse().unwrap();
    let demands = Demands {
        scheme: "https",
        domain,
        uri: "https://login.xyz",
        chains: &[ChainId::Eip155(1)],
        now: now.ms(),
    };
    text.parse::<SignIn>().unwrap().meets(&demands).map_err(|error| error.rule)
}

#[test]
fn what_the_vectors_verify_is_the_wallets_own_word() {
    for (name, text, signature) in [
        ("example message", example(), EXAMPLE),
        ("not yet valid", early(), EARLY),
        ("expired message", expired(), EXPIRED),
    ] {
        assert_eq!(signed_by(&text, signature), Some(Signed::ByKey), "{name}");
    }
    assert_eq!(meets(&example(), "login.xyz", "2022-01-27T17:09:38.578Z"), Ok(()), "example message");
    assert_eq!(meets(&early(), "login.xyz", "2101-01-07T14:31:43.952Z"), Ok(()), "not yet valid");
    // Stricter on purpose: the vector is asked about two years before it says that it was issued. It would hold within five minutes.
    assert_eq!(
        meets(&expired(), "login.xyz", "2020-01-05T00:00:00Z"),
        Err("message_early"),
        "expired message"
    );
}

#[test]
fn what_the_vectors_do_not_verify_is_refused_by_name() {
    let now = "2022-01-28T00:00:00Z";
    assert_eq!(meets(&expired(), "login.xyz", now), Err("message_expired"), "expired message");
    assert_eq!(meets(&example(), "example.com", now), Err("message_domain"), "domain binding");
    assert_eq!(meets(&example(), "login.xyz", "2200-01-05T00:00:00Z"), Err("message_expired"), "custom time");
    assert_eq!(meets(&early(), "login.xyz", now), Err("message_early"), "not yet valid");
    // A hub knows its own nonces: neither that of the message nor the other one is.
    for name in ["bTyXgcQxn2htgkjJn", "6548asdgf"] {
        assert_eq!(
            nonce::expires_at(&DeviceKey::from_seed([1; 32]), nonce::Purpose::SignIn, name, 0),
            None,
            "custom nonce"
        );
    }
    let address = "0x6Da01670d8fc844e736095918bbE11fE8D564163";
    let issued = "Issued At: 2022-01-05T14:31:43.954Z\n";
    let (malformed, wrong) = (
        "0xf2e8420fc1b722bf4941f5a0464f98172a758ceda5039f622e425fb69fd19b20\
         e444bba7c9a8a8d7e2b5e453553efe7c9460be5d211abe473fc146d51bb04d0cb1b",
        "0x31df81dc02344c9156e6f71da46e2db624b38f8f806290d670d46492b834b2e7\
         575cbce9f48169356cfb577b910d8e30732fcf23c1ac0021d08b945ed7ee118e1b",
    );
    // As the messages are validated, and as they are verified.
    for ends in ["2022-01-07T14:31:43.952Z", "2100-01-07T14:31:43.952Z"] {
        let text = message_of(address, "rmplqh1gf", &format!("{issued}Expiration Time: {ends}"));
        let refused = Authorisation::read(&text, malformed, "/body").unwrap_err();
        assert_eq!(refused.rule, "signature_form", "malformed signature");
        assert_eq!(signed_by(&text, wrong), asked(&text), "wrong signature");
    }
    // The same of an expired message, which its wallet has not signed.
    let text = message_of(
        address,
        "lx2nx4so",
        "Issued At: 2022-01-05T14:27:30.883Z\nExpiration Time: 2021-01-05T00:00:00Z",
    );
    let signature = "0x5e6834e82ec12532e3954882610b26ef83c16d25a38caccc6a009a488b6ad123\
        7318ec6cd2fd83c19f49d0cb0848c70e9a5a4bf550ce5d69bc1b023b9f6b7f601b";
    assert_eq!(signed_by(&text, signature), asked(&text), "expired message");
    assert_eq!(meets(&text, "login.xyz", now), Err("message_expired"), "expired message");
    let text = message_of(
        address,
        "o8zxjgmp",
        "Issued At: 2022-01-05T14:50:55.688Z\nExpiration Time: 2020-02-32T00:00:00.000Z",
    );
    let refused = text.parse::<SignIn>().unwrap_err();
    assert_eq!(refused.field, "Expiration Time", "invalid expiration time");
}

/// As wallets of contracts sign (ERC-1271): nobody but the contract can say whether that holds.
#[test]
fn what_no_key_has_signed_is_asked_of_the_contract() {
    let notepad = |address: &str, nonce: &str, time: &str| {
        format!(
            "localhost:4361 wants you to sign in with your Ethereum account:\n{address}\n\nSIWE Notepad Example\n\n\
             URI: http://localhost:4361\nVersion: 1\nChain ID: 1\nNonce: {nonce}\nIssued At: {time}"
        )
    };
    let (nonce, time) = ("b19JyMHnM0Jdm20as", "2022-04-19T18:57:09.490Z");
    // Not as EIP-6492 has it: a hub unwraps nothing and deploys nothing, so a wallet whose contract is not there yet cannot speak.
    let wrapped = format!(
        "0x{}{}{}{}{}{}{}{}{}{}",
        "0000000000000000000000003e9fcff3e490881855cbe07f23a674e91d163894",
        "0000000000000000000000000000000000000000000000000000000000000060",
        "00000000000000000000000000000000000000000000000000000000000000e0",
        "0000000000000000000000000000000000000000000000000000000000000044",
        "5fbfb9cf0000000000000000000000005ecffd14580b044bce27cce527b55c4f4a1f8fd9",
        "00".repeat(60),
        "0000000000000000000000000000000000000000000000000000000000000041",
        "e51c945ee81a90992bd1ceddcafc1b61deea1baab169c762b48981f56d098cd0\
         2a69b0299f56362fdcade99d0e4c2a6620cd13c606d9bea1e3e1bda5282b859a1c",
        "00".repeat(31),
        "6492".repeat(16),
    );
    for (name, text, signature) in [
        (
            "argent",
            notepad(
                "0xa5b3A53800cD49669F34DE80f2C569c6D4Ca3009",
                "FbYd6TNB4m0IUHDG7",
                "2022-04-19T18:55:04.444Z",
            ),
            "0x00193f8bb87a8bd4a8367a47ee477c62aec984830ec59e730b28d1ec54669eab\
             450b9f3108a5c435648691c5766b35e2f13b8fb29f46298bb378ac34597d7e271c",
        ),
        (
            "loopring",
            notepad("0x0e565A6dFc43DE21455a67bbF196f7F7b15447A7", nonce, time),
            "0x2f280385ebd550309197c4c892c5a8eb1a6e743d5c90c8036dea6f05c3e8cb32\
             1f90210a567ee88461733731a9c4e177140a969784c0421c09897e161f17bf331c02",
        ),
        ("6492", notepad("0x7d8d7Cc488FdA487aCc0206a04f1C7D8Dd3E4f15", nonce, time), wrapped.as_str()),
    ] {
        assert_eq!(signed_by(&text, signature), asked(&text), "{name}");
    }
    // Stricter on purpose: v is 27 or 28 and nothing else, so that a signature has one form. Of this one a contract would be asked.
    let tally = "www.tally.xyz wants you to sign in with your Ethereum account:\n\
        0xc95EB884FE852e241D409234bfC7045CB9E31BD7\n\nSign in with Ethereum to Tally\n\n\
        URI: https://tally.xyz\nVersion: 1\nChain ID: 1\nNonce: 15050747\nIssued At: 2022-06-30T14:08:51.382Z";
    let signature = "0x8c46b6eb8505939892d8e9b075f89f8277321b17b993151f37810cdda38cce6f\
        4a85909d2b53e6a14629c74c0ac38bf4becde78ee5b2529812bf6cceaf7b2a25";
    assert_eq!(signed_by(tally, &format!("{signature}01")), asked(tally), "recovery byte starting at 0");
    assert_eq!(signed_by(tally, &format!("{signature}1c")), Some(Signed::ByKey));
}
