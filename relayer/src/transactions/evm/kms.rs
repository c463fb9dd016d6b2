//! Signers whose key never leaves AWS KMS, by alloy's adapter, in builds with the feature `aws-kms`.

use super::sign::Signer;
use crate::error::Error;

/// A signer by a key's id, ARN or alias. Region, credentials and endpoint are taken from where AWS's own tools take them.
///
/// # Errors
/// The service does not answer with a public key of secp256k1.
#[cfg(feature = "aws-kms")]
pub async fn open(id: &str) -> Result<Signer, Error> {
    by(&aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await, id).await
}

#[cfg(feature = "aws-kms")]
async fn by(config: &aws_config::SdkConfig, id: &str) -> Result<Signer, Error> {
    use std::{sync::Arc, time::Duration};

    use alloy::signers::aws::{
        AwsSigner,
        aws_sdk_kms::{self, config::timeout::TimeoutConfig},
    };

    let limits = TimeoutConfig::builder().operation_timeout(Duration::from_secs(10)).build();
    let client = aws_sdk_kms::Client::from_conf(
        aws_sdk_kms::config::Builder::from(config).timeout_config(limits).build(),
    );
    let opened = AwsSigner::new(client, id.to_owned(), None).await;
    let signer = opened.map_err(|error| {
        // The words of the SDK say only that the service failed; the cause is behind them.
        let mut reason = format!("{id}: {error}");
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            reason = format!("{reason}: {inner}");
            cause = inner.source();
        }
        Error::Config { key: "kms", reason }
    })?;
    Ok(Arc::new(signer))
}

/// Nothing: this build has no KMS.
///
/// # Errors
/// Always.
#[cfg(not(feature = "aws-kms"))]
#[allow(clippy::unused_async, reason = "the same as with the feature")]
pub async fn open(_id: &str) -> Result<Signer, Error> {
    Err(Error::Config {
        key: "kms",
        reason: "this build has no AWS KMS; build with --features aws-kms".to_owned(),
    })
}

#[cfg(all(test, feature = "aws-kms"))]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code, which clippy does not take for such behind a feature"
)]
mod tests {
    use std::sync::Arc;

    use alloy::{
        consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _},
        eips::eip2718::Decodable2718 as _,
        primitives::{Address, Bytes},
        signers::{
            aws::aws_sdk_kms::config::{Credentials, Region},
            k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
            utils::secret_key_to_address,
        },
    };
    use axum::{
        Router,
        extract::State,
        http::{HeaderMap, StatusCode},
        response::{IntoResponse as _, Response},
        routing::post,
    };
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    use super::*;
    use crate::transactions::evm::{
        fees::Fees,
        sign::{Draft, sign},
    };

    const ID: &str = "alias/relayer";
    /// The content type of AWS's JSON protocol.
    const JSON: &str = "application/x-amz-json-1.1";
    /// SubjectPublicKeyInfo of an uncompressed point of secp256k1 (RFC 5480), up to the point.
    const SPKI: &str = "3056301006072a8648ce3d020106052b8104000a034200";

    /// The two calls of KMS that signing takes, by AWS's JSON protocol, over a key that is here.
    async fn answer(
        State(key): State<Arc<SigningKey>>,
        headers: HeaderMap,
        body: axum::body::Bytes,
    ) -> Response {
        // Of a content type of AWS's own.
        assert_eq!(headers.get("content-type").unwrap(), JSON);
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let target = headers.get("x-amz-target").unwrap().to_str().unwrap();
        assert!(headers.contains_key("authorization"), "requests are signed");
        if asked["KeyId"] != ID {
            let refusal = json!({ "__type": "NotFoundException", "message": "there is no such key" });
            return (StatusCode::BAD_REQUEST, [("content-type", JSON)], refusal.to_string()).into_response();
        }
        let answer = match target {
            "TrentService.GetPublicKey" => {
                let point = key.verifying_key().to_encoded_point(false);
                let der = [hex::decode(SPKI).unwrap().as_slice(), point.as_bytes()].concat();
                json!({ "KeyId": ID, "KeySpec": "ECC_SECG_P256K1", "PublicKey": STANDARD.encode(der) })
            }
            "TrentService.Sign" => {
                assert_eq!(
                    (&asked["MessageType"], &asked["SigningAlgorithm"]),
                    (&"DIGEST".into(), &"ECDSA_SHA_256".into())
                );
                let digest = STANDARD.decode(asked["Message"].as_str().unwrap()).unwrap();
                let signature: Signature = key.sign_prehash(&digest).unwrap();
                // KMS does not keep to the lower half.
                let (r, s) = signature.split_scalars();
                let high = Signature::from_scalars(*r, -*s).unwrap();
                json!({ "KeyId": ID, "Signature": STANDARD.encode(high.to_der().as_bytes()), "SigningAlgorithm": "ECDSA_SHA_256" })
            }
            other => panic!("{other}"),
        };
        ([("content-type", JSON)], answer.to_string()).into_response()
    }

    #[tokio::test]
    async fn a_key_of_kms_signs_what_the_chain_takes() {
        let key = Arc::new(SigningKey::from_slice(&[7; 32]).unwrap());
        let routes = Router::new().route("/", post(answer)).with_state(key.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .endpoint_url(url)
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .load()
            .await;
        let signer = by(&config, ID).await.unwrap();
        assert_eq!(signer.address(), secret_key_to_address(&key));
        let draft = Draft {
            chain_id: 31337,
            to: Address::repeat_byte(1),
            data: Bytes::from(vec![1, 2]),
            gas: 90_000,
        };
        for nonce in 0..8 {
            let signed = sign(&signer, &draft, nonce, Fees { max_fee: 9, priority_fee: 1 }).await.unwrap();
            let read = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
            assert_eq!((read.nonce(), read.recover_signer().unwrap()), (nonce, signer.address()));
            assert_eq!((*read.tx_hash(), read.chain_id()), (signed.hash, Some(31337)));
        }
        let refused = by(&config, "alias/other").await.err().unwrap().to_string();
        assert!(refused.contains("relayer.kms: alias/other") && refused.contains("no such key"), "{refused}");
        serving.abort();
    }
}
