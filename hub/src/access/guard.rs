//! The one place where tokens are looked at: before every route of the hub. And what is no route's is counted here.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use service::http::{Problem, bears};

use super::{
    model::Reader,
    scope::{Caller, Need, allows, need},
};
use crate::{Hub, communities, error::Error, identity, limits::Counted};

/// The longest token that is looked at.
const TOKEN_MAX: usize = 128;

/// Finds out who is asking, counts it, and sees whether the token is for this route; the handler finds [`Caller`] in the request.
pub(crate) async fn guard(State(hub): State<Hub>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let need = need(request.method(), route);
    let origin = hub.limits.origin(peer(&request), request.headers());
    // The relayer asks as often as the chain wants it.
    let unlimited = bears(request.headers(), &hub.config.relayer_key);
    let shown = if need == Need::Nothing { Ok(None) } else { bearer(request.headers()) };
    let known = match shown {
        Ok(Some(token)) => {
            // Before the database is asked, so that tokens that do not stand keep it busy as often as an address may ask and no more.
            let counted = if unlimited { None } else { hub.limits.token(origin, token) };
            if let Some(answer) = counted.and_then(refused) {
                return answer;
            }
            let known = find(&hub, token).await;
            let stands_not = known.as_ref().is_err_and(is_nobodys);
            if counted.is_some() && !stands_not {
                hub.limits.give_back(origin);
            }
            if known.is_ok() || stands_not {
                hub.limits.looked_up(token, known.is_ok());
            }
            known.map(Some)
        }
        Ok(None) => Ok(None),
        Err(problem) => Err(problem),
    };
    let counted = match &known {
        _ if unlimited => None,
        Ok(Some(caller)) => hub.limits.account(caller.account),
        // Whose it is could not be found out, which says nothing of the token.
        Err(problem) if !is_nobodys(problem) => None,
        Ok(None) | Err(_) => hub.limits.address(origin),
    };
    if let Some(answer) = counted.and_then(refused) {
        return answer;
    }
    let mut response = pass(known, need, request, next).await;
    if let Some(counted) = counted {
        counted.tell(response.headers_mut());
    }
    response
}

/// Counts by its address what no route answers: an unknown path before it is answered, and then a method that the path has not.
pub(crate) async fn strays(State(hub): State<Hub>, request: Request, next: Next) -> Response {
    if bears(request.headers(), &hub.config.relayer_key) {
        return next.run(request).await;
    }
    let origin = hub.limits.origin(peer(&request), request.headers());
    let unknown = request.extensions().get::<MatchedPath>().is_none();
    let mut counted = if unknown { hub.limits.address(origin) } else { None };
    if let Some(answer) = counted.and_then(refused) {
        return answer;
    }
    let mut response = next.run(request).await;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        counted = hub.limits.address(origin);
        if let Some(answer) = counted.and_then(refused) {
            return answer;
        }
    }
    if let Some(counted) = counted {
        counted.tell(response.headers_mut());
    }
    response
}

fn peer(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)
}

/// The answer to one request too many.
fn refused(counted: Counted) -> Option<Response> {
    let mut response = counted.refusal()?.into_response();
    counted.tell(response.headers_mut());
    Some(response)
}

async fn pass(
    known: Result<Option<Caller>, Problem>,
    need: Need,
    mut request: Request,
    next: Next,
) -> Response {
    match known {
        Err(problem) => return problem.into_response(),
        Ok(None) => {}
        Ok(Some(caller)) => {
            if let Err(told) = allows(&caller, need) {
                return Problem::forbidden(told).by_rule("scope").into_response();
            }
            request.extensions_mut().insert(caller);
        }
    }
    next.run(request).await
}

async fn find(hub: &Hub, token: &str) -> Result<Caller, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    identity::caller(&mut on, token, hub.clock.now_ms()).await?.ok_or_else(no_session)
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    headers
        .get(header::AUTHORIZATION)
        .map(|value| {
            value
                .to_str()
                .ok()
                .and_then(|value| value.strip_prefix("Bearer "))
                .filter(|token| token.len() <= TOKEN_MAX)
                .ok_or_else(no_session)
        })
        .transpose()
}

/// Whether the token does not stand, and not only the look-up has failed.
fn is_nobodys(problem: &Problem) -> bool {
    problem.status == StatusCode::UNAUTHORIZED.as_u16()
}

fn no_session() -> Problem {
    Problem::unauthenticated("there is no such session, or it has ended; POST /v1/sessions opens one")
}

/// Somebody with a token that stands, or 401.
impl FromRequestParts<Hub> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Hub) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(no_session)
    }
}

/// Who is asking: a stranger without a token; with one, its account.
impl FromRequestParts<Hub> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, hub: &Hub) -> Result<Self, Problem> {
        let Some(caller) = parts.extensions.get::<Caller>() else { return Ok(Self::stranger()) };
        let account = caller.account;
        let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
        let roles = communities::roles_of(&mut on, &account).await?;
        Ok(Self { account: Some(account), roles })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::noise::{edited, edits, text};

    const GOOD: &str = "Bearer AAECAwQFBgcICQoL.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    proptest! {
        #[test]
        fn a_header_that_shows_no_token_is_nobodys(edits in edits(), other in text()) {
            let with_word = format!("Bearer {other}").into_bytes();
            for bytes in [edited(GOOD.as_bytes(), &edits), other.into_bytes(), with_word] {
                let Ok(value) = HeaderValue::from_bytes(&bytes) else { continue };
                let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
                match bearer(&headers) {
                    Ok(token) => {
                        let token = token.unwrap();
                        prop_assert!(token.len() <= TOKEN_MAX);
                        prop_assert_eq!(format!("Bearer {token}").into_bytes(), bytes);
                    }
                    Err(problem) => prop_assert!(is_nobodys(&problem), "{problem:?}"),
                }
            }
        }
    }

    #[test]
    fn who_shows_nothing_is_a_stranger() {
        assert_eq!(bearer(&HeaderMap::new()).unwrap(), None);
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(GOOD))]);
        assert_eq!(bearer(&headers).unwrap(), GOOD.strip_prefix("Bearer "));
    }
}
