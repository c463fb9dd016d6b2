//! The hub as a person meets it: records signed by the person's device, and reading in the person's name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use hub::{
    identity::{
        AccountView, Claim, IdentityBody, PersonhoodView, SessionToken, SignIn, SignInFields,
        WalletAuthorisation, WalletBody, add_statement, session_request,
    },
    records::{Device, Draft, Receipt, RecordId, Stamp},
};
use protocol::chain::{AccountId, ChainId};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    http::Http,
    kept::{Kept, is_too_old, signed_at},
    profile::Profile,
    wallet::Said,
};

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
    /// profile's account, which a wallet that it has lets it.
    pub async fn join(&self, profile: &mut Profile, chain: ChainId) -> Result<RecordId> {
        let wallet = profile.wallet.account(chain)?;
        let WalletAuthorisation { message, signature } =
            self.word_for(profile, wallet, profile.device.device()).await?;
        let (kind, body) = match profile.account {
            None => {
                let body = IdentityBody { message, signature, name: profile.name.clone() };
                ("identity@1", serde_json::to_value(body)?)
            }
            Some(account) => {
                let by = self.controller(profile, None).await?;
                let by = self.word(profile, by, add_statement(&account, &wallet)).await?;
                ("wallet@1", serde_json::to_value(WalletBody::Add { message, signature, by })?)
            }
        };
        let receipt =
            self.submit(&Draft::new(kind, profile.account, now(), body).sign(&profile.device)?).await?;
        profile.words.insert(wallet.to_string(), receipt.id);
        let account = *profile.account.get_or_insert(receipt.id);
        profile.save()?;
        Ok(account)
    }

    /// A wallet of the profile's account whose key the profile has; not this one, where another is asked for.
    pub async fn controller(&self, profile: &Profile, but: Option<AccountId>) -> Result<AccountId> {
        let account: AccountView = self.http.get(&format!("/v1/accounts/{}", profile.account()?)).await?;
        let ours = |wallet: &AccountId| {
            Some(*wallet) != but && profile.wallet.account(wallet.chain).is_ok_and(|own| own == *wallet)
        };
        account.wallets.into_iter().find(ours).ok_or_else(|| {
            anyhow!("{}: the key of a wallet that controls the account is not here", profile.name)
        })
    }

    /// What a wallet of the profile says so that a device may speak.
    pub async fn word_for(
        &self,
        profile: &Profile,
        wallet: AccountId,
        device: Device,
    ) -> Result<WalletAuthorisation> {
        let fields: SignInFields = self.http.get("/v1/sign-in/nonce").await?;
        let (issued, expires) = (fields.issued_at, fields.expiration_time);
        let (domain, uri) = (&fields.domain, &fields.uri);
        let message = SignIn::for_device(domain, uri, wallet, &fields.nonce, &device, issued, expires);
        signed(profile, wallet, &message)
    }

    /// What a wallet of the profile says, in words.
    pub async fn word(
        &self,
        profile: &Profile,
        wallet: AccountId,
        statement: String,
    ) -> Result<WalletAuthorisation> {
        let fields: SignInFields = self.http.get("/v1/sign-in/nonce").await?;
        let (issued, expires) = (fields.issued_at, fields.expiration_time);
        let (domain, uri) = (&fields.domain, &fields.uri);
        let message = SignIn::saying(domain, uri, wallet, &fields.nonce, statement, issued, expires);
        signed(profile, wallet, &message)
    }

    /// Where the hub asks for persons and takes everybody's own word, gives the profile's.
    pub async fn stand_in(&self, profile: &Profile) -> Result<()> {
        let setting: PersonhoodView = self.http.get("/v1/personhood").await?;
        if !setting.required || !setting.stand_in {
            return Ok(());
        }
        let account = profile.account()?;
        let view: AccountView = self.http.get(&format!("/v1/accounts/{account}")).await?;
        if view.personhood.is_empty() {
            let body = serde_json::to_value(Claim::StandIn {})?;
            let draft = Draft::new("personhood@1", Some(account), now(), body);
            self.submit(&draft.sign(&profile.device)?).await?;
        }
        Ok(())
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

fn signed(profile: &Profile, wallet: AccountId, message: &SignIn) -> Result<WalletAuthorisation> {
    let message = message.to_string();
    let signature = profile.wallet.sign(wallet.chain, Said::Text(&message))?.to_string();
    Ok(WalletAuthorisation { message, signature })
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

    /// Says something that is not to happen twice: what was signed is kept until whoever calls has told the answer and forgets it,
    /// and the same draft sends the same bytes again meanwhile. One that became too old without an answer is signed anew.
    pub async fn say_once(&self, draft: &Draft) -> Result<(Receipt, Kept)> {
        let kept = Kept::of(&self.profile, self.hub.http.base(), draft)?;
        if let Some(record) = kept.waiting()? {
            let since = signed_at(&record).map(|at| format!(" at {at}")).unwrap_or_default();
            eprintln!("earnest: sending again what was signed{since} and not answered");
            match self.hand_in(&kept, draft, &record).await {
                Err(error) if is_too_old(&error) => {}
                answer => return Ok((answer?, kept)),
            }
        }
        let record = draft.sign(&self.profile.device)?;
        kept.keep(&record)?;
        Ok((self.hand_in(&kept, draft, &record).await?, kept))
    }

    async fn hand_in(&self, kept: &Kept, draft: &Draft, record: &Value) -> Result<Receipt> {
        let answer = self.hub.submit(record).await;
        if let Err(error) = &answer {
            kept.heard(error)?;
        }
        answer.with_context(|| format!("{}: {}", self.profile.name, draft.kind))
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
