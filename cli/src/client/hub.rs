//! The hub as a person meets it: records signed by the person's device, and reading in the person's name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use hub::{
    identity::{IdentityBody, SessionToken, SignIn, SignInFields, session_request},
    records::{Draft, Receipt, RecordId, Stamp},
};
use protocol::chain::ChainId;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{http::Http, profile::Profile, wallet::Said};

/// The present, as records write it.
pub fn now() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A hub that nobody has signed in to.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Its HTTP face.
    pub http: Http,
}

impl Hub {
    /// The hub at `url`; asked again for as long as `patience` while it does not answer.
    pub fn at(url: &str, patience: Duration) -> Result<Self> {
        Ok(Self { http: Http::new(url, patience)? })
    }

    /// Hands in a signed record.
    pub async fn submit(&self, record: &Value) -> Result<Receipt> {
        self.http.post("/v1/records", record).await
    }

    /// The profile's wallet on this chain authorises the profile's device: that begins an account, or adds the wallet to the
    /// profile's account.
    pub async fn join(&self, profile: &mut Profile, chain: ChainId) -> Result<RecordId> {
        let fields: SignInFields = self.http.get("/v1/sign-in/nonce").await?;
        let wallet = profile.wallet.account(chain)?;
        let message = SignIn::for_device(
            &fields.domain,
            &fields.uri,
            wallet,
            &fields.nonce,
            &profile.device.device(),
            fields.issued_at,
            fields.expiration_time,
        )
        .to_string();
        let signature = profile.wallet.sign(chain, Said::Text(&message))?.to_string();
        let body = IdentityBody { message, signature, name: profile.name.clone() };
        let draft = Draft::new("identity@1", profile.account, fields.issued_at, serde_json::to_value(body)?);
        let receipt = self.submit(&draft.sign(&profile.device)?).await?;
        profile.words.insert(wallet.to_string(), receipt.id);
        let account = *profile.account.get_or_insert(receipt.id);
        profile.save()?;
        Ok(account)
    }

    /// Signs in, so that what is only for this person can be read.
    pub async fn sign_in(&self, profile: &Profile) -> Result<Member> {
        // A nonce serves once: where the answer was lost and the request made again, the session wants another one.
        match self.open_session(profile).await {
            Ok(member) => Ok(member),
            Err(_) => self.open_session(profile).await,
        }
    }

    async fn open_session(&self, profile: &Profile) -> Result<Member> {
        let account = profile.account()?;
        let fields: SignInFields = self.http.get("/v1/sign-in/nonce").await?;
        let request =
            session_request(&account, &fields.domain, &fields.nonce, &profile.device, fields.issued_at)?;
        let session: SessionToken = self.http.post("/v1/sessions", &request).await?;
        Ok(Member { hub: Self { http: self.http.bearing(session.token) }, profile: profile.clone(), account })
    }
}

/// A hub and somebody who has signed in to it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The hub, asked in the person's name.
    pub hub: Hub,
    /// The person.
    pub profile: Profile,
    /// The person's account.
    pub account: RecordId,
}

impl Member {
    /// Says something: builds the record, signs it with the device, hands it in.
    pub async fn say(&self, draft: &Draft) -> Result<Receipt> {
        let signed = draft.sign(&self.profile.device)?;
        self.hub.submit(&signed).await.with_context(|| format!("{}: {}", self.profile.name, draft.kind))
    }

    /// A draft in this person's name.
    pub fn draft(&self, kind: &str, body: &impl Serialize) -> Result<Draft> {
        Ok(Draft::new(kind, Some(self.account), now(), serde_json::to_value(body)?))
    }

    /// Reads.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.hub.http.get(path).await
    }
}
