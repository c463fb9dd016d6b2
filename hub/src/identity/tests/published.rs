//! The parsing vectors of Sign-In with Ethereum (`test/parsing_positive.json` and `test/parsing_negative.json` of the reference
//! implementation, spruceid/siwe), as changes of one message each, with the names that they have there.

use super::*;

/// Those that are read say all of this, with another domain, time or statement.
const READ: &str = "service.org wants you to sign in with your Ethereum account:\n\
    0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n\
    I accept the ServiceOrg Terms of Service: https://service.org/tos\n\n\
    URI: https://service.org/login\nVersion: 1\nChain ID: 1\nNonce: 32891757\nIssued At: 2021-09-30T16:25:24.000Z";
const RESOURCES: &str = "\nResources:\n- ipfs://Qme7ss3ARVgxv6rXqVPiikMJ8u2NLgmgszg13pYrDKEoiu\n\
    - https://example.com/my-web2-claim.json";
/// Those that are refused differ from this one.
const WHOLE: &str = "service.org wants you to sign in with your Ethereum account:\n\
    0xe5A12547fe4E872D192E3eCecb76F2Ce1aeA4946\n\n\
    I accept the ServiceOrg Terms of Service: https://service.org/tos\n\n\
    URI: https://service.org/login\nVersion: 1\nChain ID: 1\nNonce: 12341234\nIssued At: 2022-03-17T12:45:13.610Z\n\
    Expiration Time: 2023-03-17T12:45:13.610Z\nNot Before: 2022-03-17T12:45:13.610Z\nRequest ID: some_id\n\
    Resources:\n- https://service.org/login";
/// Its address without the checksum.
const LOWER: &str = "0xe5a12547fe4e872d192e3ececb76f2ce1aea4946";

fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn what_the_vectors_read_is_read_as_they_say() {
    let domain = |domain: &str| changed(READ, "service.org wants", &format!("{domain} wants"));
    let statement = "I accept the ServiceOrg Terms of Service: https://service.org/tos";
    for (name, text, of) in [
        ("couple of optional fields", format!("{READ}{RESOURCES}"), "service.org"),
        ("no optional field", READ.to_owned(), "service.org"),
        ("timestamp without microseconds", changed(READ, "24.000Z", "24Z"), "service.org"),
        ("domain is RFC 3986 authority with IP", domain("127.0.0.1"), "127.0.0.1"),
        ("domain is RFC 3986 authority with userinfo", domain("test@127.0.0.1"), "test@127.0.0.1"),
        ("domain is RFC 3986 authority with port", domain("127.0.0.1:8080"), "127.0.0.1:8080"),
        (
            "domain is RFC 3986 authority with userinfo and port",
            domain("test@127.0.0.1:8080"),
            "test@127.0.0.1:8080",
        ),
        ("no statement", changed(READ, &format!("{statement}\n"), ""), "service.org"),
    ] {
        let message = text.parse::<SignIn>().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(message.to_string(), text, "{name}");
        assert_eq!((message.scheme.as_deref(), message.domain.as_str()), (None, of), "{name}");
        assert_eq!(
            message.wallet.to_string(),
            "eip155:1:0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            "{name}"
        );
        assert_eq!(message.statement.as_deref(), (name != "no statement").then_some(statement), "{name}");
        assert_eq!((message.uri.as_str(), message.nonce.as_str()), ("https://service.org/login", "32891757"));
        let issued = if name == "timestamp without microseconds" {
            "2021-09-30T16:25:24Z"
        } else {
            "2021-09-30T16:25:24.000Z"
        };
        assert_eq!(message.issued_at, issued, "{name}");
        let optional = [&message.expiration_time, &message.not_before, &message.request_id];
        assert!(optional.into_iter().all(Option::is_none), "{name}");
        let resources: &[&str] = if name == "couple of optional fields" {
            &[
                "ipfs://Qme7ss3ARVgxv6rXqVPiikMJ8u2NLgmgszg13pYrDKEoiu",
                "https://example.com/my-web2-claim.json",
            ]
        } else {
            &[]
        };
        assert_eq!(message.resources, resources, "{name}");
    }
}

#[test]
fn what_the_vectors_refuse_is_refused() {
    assert_eq!(WHOLE.parse::<SignIn>().unwrap().to_string(), WHOLE);
    let without = |from: &str| changed(WHOLE, from, "");
    let with = |from: &str, to: &str| changed(WHOLE, from, to);
    let (nonce, issued) = ("Nonce: 12341234\n", "Issued At: 2022-03-17T12:45:13.610Z\n");
    let (ends, begins) =
        ("Expiration Time: 2023-03-17T12:45:13.610Z\n", "Not Before: 2022-03-17T12:45:13.610Z\n");
    let (uri, resources) = ("URI: https://service.org/login\n", "Resources:\n- https://service.org/login");
    // The second of two lines before the first one.
    let turned = |first: &str, second: &str| with(&format!("{first}{second}"), &format!("{second}{first}"));
    let no_date = "Wed Oct 05 2011 16:48:00 GMT+0200 (CEST)";
    for (name, text, field) in [
        ("missing mandatory field", changed(&without(uri), "Chain ID: 1\n", ""), "URI"),
        ("extra line breaks", with("\n\nI accept", "\n\n\nI accept"), "URI"),
        ("non-ISO datetime", with("2022-03-17T12:45:13.610Z", no_date), "Issued At"),
        ("out of order fields", changed(&without(uri), nonce, &format!("{nonce}{uri}")), "URI"),
        ("wrong version", with("Version: 1", "Version: 2"), "Version"),
        ("missing domain", without("service.org"), "domain"),
        ("missing address", without("0xe5A12547fe4E872D192E3eCecb76F2Ce1aeA4946"), "address"),
        ("missing uri", with(uri, "\n"), "URI"),
        ("missing version", with("Version: 1\n", "\n"), "Version"),
        ("missing chainId", with("Chain ID: 1\n", "\n"), "Chain ID"),
        ("missing nonce", with(nonce, "\n"), "Nonce"),
        ("missing issuedAt", with(issued, "\n"), "Issued At"),
        ("out of order uri", turned(uri, "Version: 1\n"), "URI"),
        ("out of order version", turned("Version: 1\n", "Chain ID: 1\n"), "Version"),
        (
            "out of order chainId",
            with("Chain ID: 1\nNonce: 12341234\n", "Nonce: 12341234Chain ID: 1\n\n"),
            "Chain ID",
        ),
        ("out of order nonce", turned(nonce, issued), "Nonce"),
        ("out of order issuedAt", turned(issued, ends), "Issued At"),
        ("out of order expirationTime", turned(ends, begins), "message"),
        ("out of order notBefore", turned(begins, "Request ID: some_id\n"), "message"),
        (
            "out of order requestId",
            with(&format!("Request ID: some_id\n{resources}"), &format!("{resources}\nRequest ID: some_id")),
            "message",
        ),
        (
            "out of order resources",
            with(
                &format!("{begins}Request ID: some_id\n{resources}"),
                &format!("{resources}\n{begins}Request ID: some_id"),
            ),
            "message",
        ),
        ("address not EIP-55", with("0xe5A12547fe4E872D192E3eCecb76F2Ce1aeA4946", LOWER), "address"),
        ("statement has line break", with("Service: https", "Service: \nhttps"), "statement"),
        ("uri is non-RFC 3986", with(uri, "URI: _not_a_rfc3986_valid_uri_\n"), "URI"),
        ("not a valid chainId", with("Chain ID: 1", "Chain ID: ?"), "Chain ID"),
        ("nonce with less then 8 chars", with("12341234", "1234567"), "Nonce"),
        ("non-ISO 8601 issuedAt", with(issued, &format!("Issued At: {no_date}\n")), "Issued At"),
        (
            "non-ISO 8601 expirationTime",
            with(ends, &format!("Expiration Time: {no_date}\n")),
            "Expiration Time",
        ),
        ("non-ISO 8601 notBefore", with(begins, &format!("Not Before: {no_date}\n")), "Not Before"),
        ("resources not separated by line break", format!("{WHOLE} - https://service.org/login/2"), "URI"),
        ("first resource is not-RFC3986", format!("{WHOLE}\n- _not_a_rfc3986_valid_uri_"), "URI"),
        (
            "second resource not-RFC 3986",
            with(resources, "Resources:\n- _not_a_rfc3986_valid_uri_\n- https://service.org/login"),
            "URI",
        ),
    ] {
        let refused = text.parse::<SignIn>().expect_err(name);
        assert_eq!(refused.field, field, "{name}: {refused}");
    }
}

/// Where a hub is stricter, or not as strict, as the grammar of EIP-4361, and why.
#[test]
fn what_a_hub_takes_otherwise_than_the_standard() {
    // The grammar asks for EIP-55 "where applicable"; here every address has its checksum, and so one text.
    assert!(changed(WHOLE, "0xe5A12547fe4E872D192E3eCecb76F2Ce1aeA4946", LOWER).parse::<SignIn>().is_err());
    // RFC 3339 takes lower-case letters; here a time has the upper-case ones that wallets write.
    assert!(changed(WHOLE, "12:45:13.610Z", "12:45:13.610z").parse::<SignIn>().is_err());
    // A request id of the grammar may be empty, and is here.
    assert!(changed(WHOLE, "some_id", "").parse::<SignIn>().is_ok());
    // The vector "domain not RFC4501 authority" is none any more in later versions of the suite: `_` is of RFC 3986's
    // unreserved letters. A hub compares the domain with its own, so such a message is refused all the same.
    assert!(changed(WHOLE, "service.org wants", "not_rfc4501 wants").parse::<SignIn>().is_ok());
}
