//! Lists come in pages: `after` is the cursor that the page before gave, `limit` how many at most. Every list reads them here,
//! beside the filter that is its own.

use std::{fmt, str::FromStr};

use axum::{
    extract::FromRequestParts,
    http::{Request, request::Parts},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use service::http::{Problem, Query};

/// Entries of a page when the request does not say.
const LIMIT_DEFAULT: u32 = 50;
/// The most entries of a page.
const LIMIT_MAX: u32 = 100;

/// Where a page begins and how long it is, as every list takes it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Cursor {
    /// `next` of the page before.
    after: Option<String>,
    /// 1 to 100; 50 when missing.
    limit: Option<u32>,
}

/// No filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Everything {}

/// A place in the log or a number of an entry, as a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub i64);

impl FromStr for Place {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Beyond the largest place there is nothing either.
        text.parse::<u64>().map(|place| Self(i64::try_from(place).unwrap_or(i64::MAX)))
    }
}

/// A cursor of two parts, by which a list is sorted in this order; in text `<first>.<second>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair<A, B>(pub A, pub B);

impl<A: fmt::Display, B: fmt::Display> fmt::Display for Pair<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl<A, B> FromStr for Pair<A, B>
where
    A: FromStr<Err: fmt::Display>,
    B: FromStr<Err: fmt::Display>,
{
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, second) = text.split_once('.').ok_or("it must be two parts with a `.` between them")?;
        let first = first.parse::<A>().map_err(|error| error.to_string())?;
        let second = second.parse::<B>().map_err(|error| error.to_string())?;
        Ok(Self(first, second))
    }
}

/// What a request asks of a list: its filter, and a page of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paged<F = Everything, C = Place> {
    /// The parameters that are the list's own.
    pub filter: F,
    /// What the page comes after; none: the first page.
    pub after: Option<C>,
    /// How many entries at most.
    pub limit: i64,
}

impl<F> Paged<F> {
    /// The place that the page comes after; none for the first one.
    pub(crate) fn place(&self) -> Option<i64> {
        self.after.map(|Place(place)| place)
    }
}

impl<S, F, C> FromRequestParts<S> for Paged<F, C>
where
    S: Send + Sync,
    F: DeserializeOwned,
    C: FromStr<Err: fmt::Display>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let is_pages = |part: &&str| matches!(part.split('=').next(), Some("after" | "limit"));
        let query = parts.uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
        let (pages, own): (Vec<&str>, Vec<&str>) = query.partition(is_pages);
        let Cursor { after, limit } = read(&pages.join("&")).await?;
        let filter = read(&own.join("&")).await?;
        let refuse =
            |error| Problem::malformed(format!("after is not `next` of a page: {error}")).at("after");
        let after = after.map(|after| after.parse::<C>().map_err(refuse)).transpose()?;
        let limit = match limit.unwrap_or(LIMIT_DEFAULT) {
            limit @ 1..=LIMIT_MAX => i64::from(limit),
            limit => {
                return Err(Problem::malformed(format!("limit {limit} must be 1 to {LIMIT_MAX}")).at("limit"));
            }
        };
        Ok(Self { filter, after, limit })
    }
}

async fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let request = Request::builder().uri(format!("/?{query}")).body(());
    let request = request.map_err(|error| Problem::malformed(error.to_string()).at("query"))?;
    let Query(value) = Query::from_request_parts(&mut request.into_parts().0, &()).await?;
    Ok(value)
}

/// A page of a list. Where the list says so, one may be empty and still have a next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// `after` of the next page; null at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// `next`: the cursor of the last entry that was looked at; none when there is nothing more.
    pub(crate) fn new(items: Vec<T>, next: Option<impl fmt::Display>) -> Self {
        Self { items, next: next.map(|next| next.to_string()) }
    }
}

/// The cursor after a page of `found` entries: none when the page was not full.
pub(crate) fn next<C>(found: usize, limit: i64, last: Option<C>) -> Option<C> {
    last.filter(|_| i64::try_from(found).is_ok_and(|found| found >= limit))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;
    use proptest::{prelude::*, sample::select};
    use tokio::runtime::Runtime;

    use super::*;
    use crate::{
        records::RecordId,
        testing::noise::{edited_text, edits, reads_back, text},
    };

    type Nested = Pair<i64, Pair<u8, String>>;

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        kind: Option<String>,
        count: Option<u32>,
    }

    async fn of<C: FromStr<Err: fmt::Display>>(query: &str) -> Result<Paged<Asked, C>, Problem> {
        tried(query).await.unwrap()
    }

    /// What a list reads of a query; none where no request can have it.
    async fn tried<C: FromStr<Err: fmt::Display>>(query: &str) -> Option<Result<Paged<Asked, C>, Problem>> {
        let request = Request::builder().uri(format!("/v1/list{query}")).body(()).ok()?;
        Some(Paged::from_request_parts(&mut request.into_parts().0, &()).await)
    }

    #[tokio::test]
    async fn a_list_reads_its_page_and_its_filter() {
        let asked = |kind: Option<&str>, count| Asked { kind: kind.map(str::to_owned), count };
        let first = of::<Place>("").await.unwrap();
        assert_eq!(first, Paged { filter: Asked::default(), after: None, limit: 50 });
        let page = of("?kind=a%20b&after=7&count=3&&limit=100").await.unwrap();
        assert_eq!(page, Paged { filter: asked(Some("a b"), Some(3)), after: Some(Place(7)), limit: 100 });
        let far = of::<Place>("?after=18446744073709551615").await.unwrap();
        assert_eq!(far.after, Some(Place(i64::MAX)));
        let named = of::<String>("?after=a%7Cb").await.unwrap();
        assert_eq!(named.after.as_deref(), Some("a|b"));
        let nested = of::<Nested>("?after=-7.8.x.y").await.unwrap().after.unwrap();
        assert_eq!(nested, Pair(-7, Pair(8, "x.y".to_owned())));
        assert_eq!(nested.to_string(), "-7.8.x.y");
        for half in ["7", "7.", "7.8", ".8.x", "7.x.y"] {
            assert!(half.parse::<Nested>().is_err(), "{half}");
        }
        for (query, field) in [
            ("?limit=0", "limit"),
            ("?limit=101", "limit"),
            ("?limit=x", "query"),
            ("?limit=1&limit=2", "query"),
            ("?after=-1", "after"),
            ("?after=x", "after"),
            ("?count=x", "query"),
            ("?colour=green", "query"),
            ("?kind=a%00b", "query"),
            ("?%61fter=1", "query"),
        ] {
            let problem = serde_json::to_value(of::<Place>(query).await.unwrap_err()).unwrap();
            assert_eq!((&problem["status"], &problem["field"]), (&400.into(), &field.into()), "{query}");
        }
    }

    /// One of each kind that lists are sorted by.
    const CURSORS: [&str; 4] = [
        "18446744073709551615",
        "-9223372036854775808.0x1111111111111111111111111111111111111111111111111111111111111111",
        "1795255200000.zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr",
        "1.1795255200000.zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr",
    ];

    type Turn = Pair<i64, Pair<i64, RecordId>>;

    proptest! {
        #[test]
        fn a_cursor_goes_on_where_its_page_ended(
            place in 0..=i64::MAX, first: i64, second: i64, hash: [u8; 32], number: u32,
        ) {
            prop_assert_eq!(place.to_string().parse::<Place>(), Ok(Place(place)));
            let case = Pair(first, B256::from(hash));
            prop_assert_eq!(case.to_string().parse::<Pair<i64, B256>>(), Ok(case));
            let record = RecordId::of(&serde_json::json!({ "number": number })).unwrap();
            let turn = Pair(first, Pair(second, record));
            prop_assert_eq!(turn.to_string().parse::<Turn>(), Ok(turn));
        }

        #[test]
        fn a_cursor_that_is_read_reads_back(good in select(&CURSORS[..]), edits in edits(), other in text()) {
            for text in [edited_text(good, &edits), other] {
                if let Ok(Place(place)) = text.parse() {
                    prop_assert!(place >= 0, "{text}");
                }
                reads_back::<Pair<i64, B256>>(&text);
                reads_back::<Pair<i64, RecordId>>(&text);
                reads_back::<Turn>(&text);
                reads_back::<Nested>(&text);
            }
        }
    }

    #[test]
    fn a_query_is_a_page_or_is_refused_by_its_parameter() {
        let runtime = Runtime::new().unwrap();
        proptest!(|(edits in edits(), other in text())| {
            let good = "?kind=a%20b&after=7.zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr&count=3&limit=100";
            for query in [edited_text(good, &edits), format!("?after={other}"), format!("?{other}")] {
                match runtime.block_on(tried::<Pair<i64, RecordId>>(&query)) {
                    None => {}
                    Some(Ok(page)) => prop_assert!((1..=100).contains(&page.limit), "{page:?}"),
                    Some(Err(problem)) => {
                        prop_assert_eq!(problem.status, 400);
                        let field = problem.field.as_deref();
                        prop_assert!(matches!(field, Some("after" | "limit" | "query")), "{problem:?}");
                    }
                }
            }
        });
    }
}
