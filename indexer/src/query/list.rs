//! What every list reads of a request, and the page of it.

use service::http::Problem;

use super::scan::{Among, Found, Takes, scan};
use crate::{Error, params::Params, shared::Shared, states::store::Stored};

/// The longest page of a list.
const LIMIT_MAX: u64 = 200;
/// The page of who does not say.
const LIMIT: u64 = 50;

/// What a list is asked for.
pub(crate) trait Listed: Takes<<Self as Listed>::State> + Sized {
    /// What is listed.
    type State: Stored;
    /// What the subjects of all of it begin with.
    const ROOM: &str;
    /// The parameters of [`Listed::read`].
    const PARAMETERS: &[&str];

    /// From the parameters of a request.
    ///
    /// # Errors
    /// A parameter cannot be read; names it, its value and the rule.
    fn read(params: &Params) -> Result<Self, Problem>;

    /// The subject that the cursor `after` stands for.
    ///
    /// # Errors
    /// It is none of a page of this list.
    fn after(params: &Params) -> Result<Option<String>, Problem> {
        params.cursor(Self::ROOM)
    }

    /// What the subjects of those that it takes begin with.
    fn room(&self) -> String {
        Self::ROOM.to_owned()
    }

    /// What the database looks through.
    fn among(&self) -> Among {
        Among::All
    }
}

/// The filter of a request, and the page that it asks for.
///
/// # Errors
/// A parameter breaks a rule, or the database does not answer.
pub(crate) async fn listed<L: Listed>(
    shared: &Shared,
    params: Params,
) -> Result<(L, Found<L::State>), Problem> {
    let params = params.only(&[L::PARAMETERS, &["after", "limit"]].concat())?;
    let filter = L::read(&params)?;
    let limit = params.number("limit", (1, LIMIT_MAX), LIMIT)?;
    let after = L::after(&params)?;
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let found = scan(&mut reader, &filter.room(), after, &filter.among(), limit, &filter).await?;
    Ok((filter, found))
}
