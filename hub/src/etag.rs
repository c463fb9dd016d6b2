//! Answers that say which state they are (RFC 9110, section 8.8.3): who has it already is told so and nothing more.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// The value as JSON with its `ETag`, a hash of what is sent; 304 where `If-None-Match` names it.
///
/// # Errors
/// None that input can cause.
pub(crate) fn tagged(headers: &HeaderMap, value: &impl Serialize) -> Result<Response, Error> {
    let corrupt = |error: String| Error::Corrupt(format!("an answer: {error}"));
    let text = serde_json::to_vec(value).map_err(|error| corrupt(error.to_string()))?;
    let hash = hex::encode(Sha256::digest(&text).iter().take(16).copied().collect::<Vec<u8>>());
    let tag = HeaderValue::from_str(&format!("\"{hash}\"")).map_err(|error| corrupt(error.to_string()))?;
    let has = |known: &HeaderValue| {
        known.to_str().is_ok_and(|known| {
            known
                .split(',')
                .map(|one| one.trim().trim_start_matches("W/"))
                .any(|one| one == "*" || one.trim_matches('"') == hash)
        })
    };
    let mut response = if headers.get_all(header::IF_NONE_MATCH).iter().any(has) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], text).into_response()
    };
    response.headers_mut().insert(header::ETAG, tag);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("authorization"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::noise::{edited, edits, text};

    /// Status and tag.
    fn asked(known: HeaderValue, value: u8) -> (u16, String) {
        let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, known)]);
        let response = tagged(&headers, &value).unwrap();
        (response.status().as_u16(), response.headers()[header::ETAG].to_str().unwrap().to_owned())
    }

    proptest! {
        #[test]
        fn whatever_else_is_known_only_the_tag_is_this_state(edits in edits(), other in text(), value: u8) {
            let (_, tag) = asked(HeaderValue::from_static("\"x\""), value);
            for known in [edited(b"W/\"0011\", \"2233\", \"\"", &edits), other.into_bytes()] {
                let Ok(known) = HeaderValue::from_bytes(&known) else { continue };
                let has_all = known.as_bytes().contains(&b'*');
                let (status, again) = asked(known.clone(), value);
                prop_assert_eq!(&again, &tag);
                prop_assert!(status == 200 || (has_all && status == 304), "{status} {known:?}");
                if let Ok(words) = known.to_str() {
                    let with_it = format!("{words}, {tag}").parse().unwrap();
                    prop_assert_eq!(asked(with_it, value).0, 304, "{}", words);
                }
            }
        }
    }

    #[test]
    fn who_has_it_is_told_so_and_anything_else_is_another() {
        let ask = |known: &str, value: u8| asked(known.parse().unwrap(), value);
        let (status, tag) = ask("\"x\"", 7);
        assert_eq!((status, tag.len()), (200, 34));
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            assert_eq!(ask(&known, 7), (304, tag.clone()), "{known}");
        }
        assert_eq!(ask(&tag, 8).0, 200);
        assert_eq!(ask(tag.trim_matches('"'), 8).0, 200);
    }
}
