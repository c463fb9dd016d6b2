//! Sign-in messages, accounts, personhood and recoveries over HTTP.

use alloy::primitives::B256;
use axum::{extract::State, http::HeaderMap, response::Response};
use protocol::chain::{AccountId, ChainId};
use serde::{Deserialize, Serialize};
use service::http::{Json, Path, Problem};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    control::Recovery,
    model::ProfileBody,
    nonce::{self, Purpose},
    passkey::Passkey,
    personhood, standing, store, webauthn,
};
use crate::{
    Hub,
    access::Caller,
    config::Personhood,
    did,
    error::Error,
    etag::tagged,
    page::{self, Cursor, Everything, Page, Paged},
    records::{Device, RecordId, Stamp},
};

/// How long a nonce may be used, in milliseconds.
const NONCE_LIFE_MS: i64 = 10 * 60 * 1000;
/// The most guarded accounts that recoveries are shown with.
const GUARDED_MAX: i64 = 100;

/// What to put into a CAIP-122 message (EIP-4361, or Sign In With Solana) or a session request for this hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignInFields {
    /// `Nonce`; serves once.
    pub nonce: String,
    /// The domain on the first line.
    pub domain: String,
    /// `URI`.
    pub uri: String,
    /// `rp.id` of passkeys (WebAuthn): the host. The challenge of one that lets a device speak is the SHA-256 of `Let the device
    /// <did:key> speak for me on Earnest. Nonce: <nonce>`; of one that is made, that of `Make a passkey for my account <account> on
    /// Earnest. Nonce: <nonce>`.
    pub rp_id: String,
    /// `Version`.
    pub version: String,
    /// `Chain ID` must name one of these (CAIP-2): by its reference, and a Solana cluster that has one by its name, such as
    /// `mainnet`.
    #[schema(value_type = Vec<String>)]
    pub chains: Vec<ChainId>,
    /// `Issued At`: this hub's clock.
    #[schema(value_type = String)]
    pub issued_at: Stamp,
    /// `Expiration Time`: when the nonce expires.
    #[schema(value_type = String)]
    pub expiration_time: Stamp,
    /// `Resources` must hold the did:key of the device and no other did:key.
    pub resources: Vec<String>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AccountView {
    /// The id of its first record.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// Its did:web; the document is at `/accounts/{id}/did.json`.
    pub did: String,
    /// What it calls itself.
    pub name: String,
    /// Since when.
    #[schema(value_type = String)]
    pub created: Stamp,
    /// What it says of itself, where it has.
    pub profile: Option<ProfileView>,
    /// CAIP-10.
    #[schema(value_type = Vec<String>)]
    pub wallets: Vec<AccountId>,
    /// By whose word devices may speak for it, too; at most 16, in the order they were added.
    pub passkeys: Vec<PasskeyView>,
    /// The DIDs of what controls it and speaks for it: did:pkh of its wallets, did:key of its passkeys and authorised devices.
    pub controllers: Vec<String>,
    /// Which devices it has, and which of them may speak.
    pub devices: Vec<DeviceView>,
    /// The proofs of personhood that stand; none: it has not shown to be a person.
    pub personhood: Vec<ProofView>,
}

/// What an account says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProfileView {
    /// The `profile@1` that says it.
    #[schema(value_type = String)]
    pub record: RecordId,
    /// In its words.
    pub text: String,
    /// BCP 47, the preferred one first.
    pub languages: Vec<String>,
    /// SHA-256 of a picture.
    #[schema(value_type = Option<String>)]
    pub avatar: Option<B256>,
}

/// A proof of personhood, without the name under which the provider knows the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProofView {
    /// `brightid`, `proof_of_humanity` or `stand_in`.
    pub provider: String,
    /// Since when.
    #[schema(value_type = String)]
    pub proven: Stamp,
    /// Until when.
    #[schema(value_type = String)]
    pub until: Stamp,
}

/// What this hub asks about persons, and whom it believes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PersonhoodView {
    /// Whether offering, buying and accepting asks for a proof.
    pub required: bool,
    /// What asks for one.
    pub setting: Personhood,
    /// The name under which BrightID knows this hub; a person links the account's id in its app. Null: it is not asked.
    pub brightid: Option<String>,
    /// Proof of Humanity registries, CAIP-10.
    #[schema(value_type = Vec<String>)]
    pub proof_of_humanity: Vec<AccountId>,
    /// Whether everybody who says so is a person.
    pub stand_in: bool,
}

/// The recovery rule of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RuleView {
    /// Who guards it.
    #[schema(value_type = Vec<String>)]
    pub guardians: Vec<RecordId>,
    /// How many of them have to agree.
    pub threshold: u8,
    /// How long a wallet may veto after that.
    pub delay_hours: i64,
}

/// A recovery of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecoveryView {
    /// The record that asked for it.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// The account.
    #[schema(value_type = String)]
    pub account: RecordId,
    /// The wallet that is to control it, CAIP-10.
    #[schema(value_type = String)]
    pub wallet: AccountId,
    /// The device that is to speak for it.
    #[schema(value_type = String)]
    pub device: Device,
    /// Who has agreed.
    #[schema(value_type = Vec<String>)]
    pub approvals: Vec<RecordId>,
    /// `asked`, `waiting`, `recovered`, `vetoed` or `lapsed`.
    pub stage: String,
    /// When the stage's time is over, or when it ended.
    #[schema(value_type = String)]
    pub ends: Stamp,
}

/// Which recoveries are asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Those of this account alone: yourself, or an account that you guard.
    #[param(value_type = Option<String>)]
    account: Option<RecordId>,
}

/// Recoveries that concern an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecoveriesView {
    /// Its own rule.
    pub rule: Option<RuleView>,
    /// The accounts that it guards, at most 100: `GET /v1/recovery/guards` has all.
    #[schema(value_type = Vec<String>)]
    pub guards: Vec<RecordId>,
    /// Its own, open ones first and otherwise the latest end first; then those of accounts that it guards in the same way. Its own
    /// open ones are eight at the most, and come first whatever happens to others.
    pub recoveries: Vec<RecoveryView>,
    /// `after` of the next page of recoveries; null at the end.
    pub next: Option<String>,
}

/// A passkey of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PasskeyView {
    /// did:key of its public key.
    #[schema(value_type = String)]
    pub passkey: Passkey,
    /// The id that browsers know it by, base64url without padding: for `allowCredentials`, and to tell whose an answer is.
    pub credential: String,
    /// The wallet by whose word it stands, and with which it goes. CAIP-10.
    #[schema(value_type = String)]
    pub wallet: AccountId,
    /// Since when.
    #[schema(value_type = String)]
    pub added: Stamp,
}

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceView {
    /// did:key.
    #[schema(value_type = String)]
    pub device: Device,
    /// False once revoked.
    pub authorised: bool,
}

/// The wallets of an account that somebody has named, in the order they were added.
///
/// # Errors
/// 404: there is no such account; the database fails.
pub(crate) async fn wallets_or_not_found(
    on: &mut AnyConnection,
    account: &RecordId,
) -> Result<Vec<AccountId>, Problem> {
    if !store::account_exists(on, account).await? {
        return Err(Problem::not_found("account", account));
    }
    Ok(store::wallets_of(on, account).await?)
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(fresh_nonce))
        .routes(routes!(account))
        .routes(routes!(persons))
        .routes(routes!(recoveries))
        .routes(routes!(guarded))
}

/// A fresh nonce, with everything that a sign-in message for this hub must say.
#[utoipa::path(get, path = "/v1/sign-in/nonce", tag = "identity", responses(
    (status = 200, description = "Serves once, for ten minutes", body = SignInFields),
))]
async fn fresh_nonce(State(hub): State<Hub>) -> Json<SignInFields> {
    let now = hub.clock.now_ms();
    let expires = now.saturating_add(NONCE_LIFE_MS);
    Json(SignInFields {
        nonce: nonce::issue(&hub.key, Purpose::SignIn, expires, rand::random()),
        domain: hub.public.domain.clone(),
        uri: hub.public.url.clone(),
        rp_id: webauthn::rp_id(&hub.public.url),
        version: "1".to_owned(),
        chains: hub.config.chains(),
        issued_at: Stamp::from_ms(now),
        expiration_time: Stamp::from_ms(expires),
        resources: vec!["did:key:<the device>".to_owned()],
    })
}

/// An account: its name and profile, its wallets, its devices, and whether it is a person.
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "identity", params(("id" = String, Path)), responses(
    (status = 200, description = "The account", body = AccountView),
    (status = 404, description = "There is none", content_type = "application/problem+json"),
))]
async fn account(
    State(hub): State<Hub>,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = store::account(&mut on, &id).await?.ok_or_else(|| Problem::not_found("account", id))?;
    let proofs = personhood::store::proofs(&mut on, &id, hub.clock.now_ms()).await?;
    let wallets = found.wallets.iter().map(|wallet| format!("did:pkh:{wallet}"));
    let devices = found.devices.iter().filter(|(_, speaks)| *speaks).map(|(device, _)| device.to_string());
    let passkeys = found.passkeys.iter().map(|(passkey, ..)| passkey.to_string());
    let controllers = wallets.chain(passkeys).chain(devices).collect();
    let view = |(record, ProfileBody { text, languages, avatar, .. })| ProfileView {
        record,
        text,
        languages,
        avatar,
    };
    let account = AccountView {
        id: found.id,
        did: did::of_account(&hub, &found.id),
        name: found.name,
        created: Stamp::from_ms(found.created_at),
        profile: found.profile.map(view),
        wallets: found.wallets,
        passkeys: found
            .passkeys
            .into_iter()
            .map(|(passkey, keeper, added)| PasskeyView {
                passkey,
                credential: keeper.credential,
                wallet: keeper.wallet,
                added: Stamp::from_ms(added),
            })
            .collect(),
        controllers,
        devices: found
            .devices
            .into_iter()
            .map(|(device, authorised)| DeviceView { device, authorised })
            .collect(),
        personhood: proofs
            .into_iter()
            .map(|proof| ProofView {
                provider: proof.provider,
                proven: Stamp::from_ms(proof.proven_at),
                until: Stamp::from_ms(proof.until),
            })
            .collect(),
    };
    Ok(tagged(&headers, &account)?)
}

/// What this hub asks about persons, and whom it believes.
#[utoipa::path(get, path = "/v1/personhood", tag = "identity", responses(
    (status = 200, description = "The hub's setting", body = PersonhoodView),
))]
async fn persons(State(hub): State<Hub>) -> Json<PersonhoodView> {
    let config = &hub.config;
    Json(PersonhoodView {
        required: config.personhood != Personhood::Open,
        setting: config.personhood,
        brightid: hub.brightid.as_ref().map(|_| config.brightid_app.clone()),
        proof_of_humanity: config.humanity_registries.clone(),
        stand_in: config.personhood_stand_in,
    })
}

/// Your recovery rule, the accounts that you guard, and recoveries: your own and theirs, or those of one account.
#[utoipa::path(get, path = "/v1/recovery", tag = "identity", params(Which, Cursor), responses(
    (status = 200, description = "What concerns you", body = RecoveriesView),
    (status = 401, description = "Sign in first", content_type = "application/problem+json"),
    (status = 404, description = "You do not guard this account", content_type = "application/problem+json"),
))]
async fn recoveries(
    State(hub): State<Hub>,
    caller: Caller,
    Paged { filter: Which { account }, after, limit }: Paged<Which, standing::Place>,
) -> Result<Json<RecoveriesView>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let rule = standing::rule(&mut on, &caller.account).await?.map(|rule| RuleView {
        guardians: rule.guardians.into_iter().collect(),
        threshold: rule.threshold,
        delay_hours: rule.delay_ms.div_euclid(60 * 60 * 1000),
    });
    let view = |(id, account, recovery): (RecordId, RecordId, Recovery)| RecoveryView {
        id,
        account,
        wallet: recovery.wallet,
        device: recovery.device,
        approvals: recovery.approvals.into_iter().collect(),
        stage: recovery.stage.name().to_owned(),
        ends: Stamp::from_ms(recovery.ends_at),
    };
    if let Some(account) = account
        && account != caller.account
        && !standing::guards(&mut on, &caller.account, &account).await?
    {
        return Err(Problem::not_found("account that you guard", account));
    }
    let whose = account.unwrap_or(caller.account);
    let (found, last) = standing::recoveries(&mut on, &whose, account.is_none(), after, limit).await?;
    let next = page::next(found.len(), limit, last);
    Ok(Json(RecoveriesView {
        rule,
        guards: standing::guarded_by(&mut on, &caller.account, None, GUARDED_MAX).await?,
        recoveries: found.into_iter().map(view).collect(),
        next: next.map(|next| next.to_string()),
    }))
}

/// The accounts that you guard, in the order of their ids.
#[utoipa::path(get, path = "/v1/recovery/guards", tag = "identity", params(Cursor), responses(
    (status = 200, description = "Accounts", body = Page<String>),
    (status = 401, description = "Sign in first", content_type = "application/problem+json"),
))]
async fn guarded(
    State(hub): State<Hub>,
    caller: Caller,
    Paged { after, limit, .. }: Paged<Everything, RecordId>,
) -> Result<Json<Page<RecordId>>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let items = standing::guarded_by(&mut on, &caller.account, after, limit).await?;
    let next = page::next(items.len(), limit, items.last().copied());
    Ok(Json(Page::new(items, next)))
}
