//! `ETag`: what is told of deals, cases and pools changes with the feed and with a re-index and with nothing else, so the
//! feed's end, who told it and the newest re-index name the state of all of it.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use service::http::Problem;

use crate::{Error, feed, reindex, shared::Shared};

/// Whether `If-None-Match` names the tag (RFC 9110, section 13.1.2: weak comparison).
fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| one.trim() == "*" || opaque(one) == opaque(tag))
}

/// Tags what is found, and answers 304 in its place to who has it already.
pub(crate) async fn tagged(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // Read before the answer is: at worst an answer is newer than its tag, and is asked for once more.
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let (seq, told_at) = feed::store::end(&mut reader).await?;
    let reindexed_at = reindex::stamp(&mut reader).await?;
    let feed = feed::store::feed_at(&mut reader, seq).await?;
    drop(reader);
    let tag = format!("W/\"{feed}-{seq}-{told_at}-{reindexed_at}\"");
    let known = matches(request.headers(), &tag);
    // What is not there, or asked for wrongly, is told so whatever the caller has.
    let mut response = next.run(request).await;
    if response.status() == StatusCode::OK {
        if known {
            response = StatusCode::NOT_MODIFIED.into_response();
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_others_however_it_is_written() {
        let tag = "W/\"17-1795266807000\"";
        let asked = |value: &str| {
            matches(&HeaderMap::from_iter([(header::IF_NONE_MATCH, value.parse().unwrap())]), tag)
        };
        for same in [tag, "\"17-1795266807000\"", "\"1-1\", W/\"17-1795266807000\"", "*"] {
            assert!(asked(same), "{same}");
        }
        for other in ["", "\"17-1795266807001\"", "W/\"7-1795266807000\"", "17"] {
            assert!(!asked(other), "{other}");
        }
        assert!(!matches(&HeaderMap::new(), tag));
    }
}
