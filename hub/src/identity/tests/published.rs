//! The parsing vectors of Sign-In with Ethereum (`test/parsing_positive.json`, `test/parsing_negative.json`,
//! `test/parsing_negative_objects.json`, `test/valid_chars.json`, `test/invalid_chars.json` and `test/invalid_uris.json` of the
//! reference implementation, spruceid/siwe), as changes of one message each, with the names that they have there.

use super::{super::siwx::Demands, *};

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

/// The members of a message as libraries of wallets have them, written down as they write them; what is missing is left out.
fn written(members: &Value) -> String {
    let word = |name: &str| members[name].as_str().unwrap_or_default().to_owned();
    let mut text = format!(
        "{} wants you to sign in with your Ethereum account:\n{}\n\n",
        word("domain"),
        word("address")
    );
    text.push_str(&format!("{}\n", word("statement")));
    for (name, member) in [
        ("URI", "uri"),
        ("Version", "version"),
        ("Chain ID", "chainId"),
        ("Nonce", "nonce"),
        ("Issued At", "issuedAt"),
        ("Expiration Time", "expirationTime"),
        ("Not Before", "notBefore"),
        ("Request ID", "requestId"),
    ] {
        match &members[member] {
            Value::Null => {}
            Value::String(value) => text.push_str(&format!("\n{name}: {value}")),
            value => text.push_str(&format!("\n{name}: {value}")),
        }
    }
    text.push_str("\nResources:");
    for resource in members["resources"].as_array().unwrap() {
        text.push_str(&format!("\n- {}", resource.as_str().unwrap()));
    }
    text
}

fn whole() -> Value {
    json!({
        "domain": "service.org", "address": "0xe5A12547fe4E872D192E3eCecb76F2Ce1aeA4946",
        "statement": "I accept the ServiceOrg Terms of Service: https://service.org/tos",
        "uri": "https://service.org/login", "version": "1", "chainId": 1, "nonce": "12341234",
        "issuedAt": "2022-03-17T12:45:13.610Z", "expirationTime": "2023-03-17T12:45:13.610Z",
        "notBefore": "2022-03-17T12:45:13.610Z", "requestId": "some_id", "resources": ["https://service.org/login"],
    })
}

#[test]
fn what_the_vectors_refuse_as_members_is_refused_as_text() {
    assert_eq!(written(&whole()), WHOLE);
    let (no_date, no_uri) = ("Wed Oct 05 2011 16:48:00 GMT+0200 (CEST)", ":not_a_rfc3986_valid_uri_");
    let login = "https://service.org/login";
    for (name, member, value, field) in [
        ("missing domain", "domain", Value::Null, "domain"),
        ("missing address", "address", Value::Null, "address"),
        ("missing uri", "uri", Value::Null, "URI"),
        ("missing version", "version", Value::Null, "Version"),
        ("missing chainId", "chainId", Value::Null, "Chain ID"),
        ("missing nonce", "nonce", Value::Null, "Nonce"),
        ("missing issuedAt", "issuedAt", Value::Null, "Issued At"),
        ("address not EIP-55", "address", json!("0xE5A12547fe4E872D192E3eCecb76F2Ce1aeA4946"), "address"),
        ("uri is non-RFC 3986", "uri", json!(no_uri), "URI"),
        ("version not 1", "version", json!("3"), "Version"),
        ("not a valid chainId", "chainId", json!("?"), "Chain ID"),
        ("nonce with less than 8 chars", "nonce", json!("1234567"), "Nonce"),
        ("non-ISO 8601 issuedAt", "issuedAt", json!(no_date), "Issued At"),
        ("non-ISO 8601 expirationTime", "expirationTime", json!(no_date), "Expiration Time"),
        ("non-ISO 8601 notBefore", "notBefore", json!(no_date), "Not Before"),
        ("first resource not-RFC 3986", "resources", json!([no_uri, login]), "URI"),
        ("second resource is not-RFC3986", "resources", json!([login, no_uri]), "URI"),
    ] {
        let mut members = whole();
        members[member] = value;
        let refused = written(&members).parse::<SignIn>().expect_err(name);
        assert_eq!(refused.field, field, "{name}: {refused}");
    }
}

/// What a hub at `https://service.org` that is signed in to at `/login` says of a message.
fn meets(message: &SignIn) -> Result<(), &'static str> {
    let now: Stamp = "2022-03-18T00:00:00Z".parse().unwrap();
    let demands = Demands {
        scheme: "https",
        domain: "service.org",
        uri: "https://service.org/login",
        chains: &[ChainId::Eip155(1)],
        now: now.ms(),
    };
    message.meets(&demands).map_err(|error| error.rule)
}

/// A message with this text where the grammar's rule stands.
fn with(rule: &str, input: &str) -> String {
    let domain = |domain: &str| changed(WHOLE, "service.org wants", &format!("{domain} wants"));
    let uri = |uri: &str| changed(WHOLE, "URI: https://service.org/login", &format!("URI: {uri}"));
    match rule {
        "scheme" => domain(&format!("{input}://service.org")),
        "statement" => changed(WHOLE, "I accept", &format!("I accept{input}")),
        "userinfo" => domain(&format!("{input}@service.org")),
        "IPvFuture" => domain(&format!("[{input}]")),
        "reg-name" => domain(&format!("service.org{input}")),
        "segment-nz" => uri(&format!("https://service.org/login{input}")),
        "fragment" => uri(&format!("https://service.org/login#{input}")),
        _ => panic!("{rule}"),
    }
}

#[test]
fn every_character_that_the_vectors_take_is_taken_but_in_a_scheme() {
    let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let encoded = "%00%ff%FF%0a%0A%20";
    for (rule, input) in [
        ("statement", format!(":/?#[]@!$&'()*+,;= {letters}-._~")),
        ("userinfo", format!("{letters}-._~!$&'()*+,;=:{encoded}")),
        ("IPvFuture", format!("v123.{letters}-._~!$&'()*+,;=:")),
        ("reg-name", format!("{letters}-._~!$&'()*+,;={encoded}")),
        ("segment-nz", format!("{letters}-._~!$&'()*+,;=:@{encoded}")),
        ("fragment", format!("{letters}-._~!$&'()*+,;=:@{encoded}/?")),
    ] {
        let text = with(rule, &input);
        assert_eq!(text.parse::<SignIn>().unwrap().to_string(), text, "{rule}");
    }
    // Stricter on purpose: the scheme is that of the hub's own URL, http or https.
    let refused = with("scheme", &format!("{letters}+-.")).parse::<SignIn>().unwrap_err();
    assert_eq!(refused.field, "scheme");
}

/// Not as strict on purpose: domain and URI have to be the hub's own to the letter, so that no grammar of authorities stands here as
/// well; and a statement is one line of printable ASCII, for the person alone.
#[test]
fn no_character_that_the_vectors_refuse_makes_a_message_for_this_hub() {
    let no_scheme = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
    for input in [no_scheme, ":", "#", "?", "@", "!", "~"] {
        assert_eq!(with("scheme", input).parse::<SignIn>().unwrap_err().field, "scheme", "{input}");
    }
    for (rule, inputs, told) in [
        ("userinfo", "#?@[]", "message_domain"),
        ("IPvFuture", "#?@[]", "message_domain"),
        ("reg-name", "#?@[]", "message_domain"),
        ("segment-nz", "^`|%?#[", "message_uri"),
        ("fragment", "#[", "message_uri"),
    ] {
        for input in inputs.chars() {
            let message: SignIn = with(rule, &input.to_string()).parse().unwrap();
            assert_eq!(meets(&message), Err(told), "{rule} + {input}");
        }
    }
    for rule in ["userinfo", "IPvFuture", "reg-name"] {
        assert_eq!(with(rule, "/").parse::<SignIn>().unwrap_err().field, "domain", "{rule} + /");
    }
    for input in "`<>{|}".chars() {
        let message: SignIn = with("statement", &input.to_string()).parse().unwrap();
        assert_eq!(meets(&message), Ok(()), "statement + {input}");
    }
    // "domain not RFC4501 authority" of the members.
    let mut members = whole();
    members["domain"] = json!("#notrfc4501");
    assert_eq!(meets(&written(&members).parse().unwrap()), Err("message_domain"));
}

#[test]
fn no_uri_that_the_vectors_refuse_is_this_hubs() {
    let text = |uri: &str| changed(READ, "https://service.org/login", uri);
    for uri in [
        "uri://[::0.0.0.256]/p/path",
        "uri://[::300.0.0.0]/p/path",
        "uri://[::0.ff.0.255]",
        "uri://[::0.0.256.0]",
        "uri://[ffff:abcd:0:10:200:3000:f8a:1:ffff]",
        "uri://[ffff:abcd:0:10:200:3000:f8a]",
        "uri://[ffff:abcd:0:10:200:3000:ff:255.255.255.255]",
        "uri://[::1:2:3:4:5:6:7:8]",
        "uri://[::1:2:3:4:5:6:198.162.10.255]",
        "uri://[1:2:3:4:5:6:7:8::]",
        "uri://[1:2:3:4:5:6::198.162.10.255]",
        "uri://[1:2:3:4:5::6:7:8]",
        "uri://[1:2:3:4:5::6:198.162.10.255]",
    ] {
        assert_eq!(meets(&text(uri).parse().unwrap()), Err("message_uri"), "{uri}");
    }
    for uri in [
        "://user:pass@example.com:123/one/two.three?q1=a1&q2=a2#body",
        "uri://user:pass@example.com:123/one/two.three ?q1=a1&q2=a2#body",
        "uri://user:pass@example.com:123/one/two.three?q1=a1&q2=a2 #body",
    ] {
        assert_eq!(text(uri).parse::<SignIn>().unwrap_err().field, "URI", "{uri}");
    }
}
