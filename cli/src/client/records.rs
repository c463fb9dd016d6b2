//! Records as a hub shows them, held to what their devices signed.

use anyhow::{Result, bail};
use hub::records::{Device, Record, RecordId};
use serde_json::Value;

use super::{credential::device_of, http::Http, hub::Hub};
use crate::exit::Failure;

/// A record as its device signed it.
pub async fn genuine(http: &Http, id: RecordId) -> Result<Record> {
    let received: Value = http.get(&format!("/v1/records/{id}")).await?;
    let record =
        Record::read(&received).map_err(|refusal| Failure::does_not_hold(format!("{id}: {refusal}")))?;
    if record.id != id {
        return Err(Failure::does_not_hold(format!("{id}: {} answers with {}", http.base(), record.id)));
    }
    Ok(record)
}

/// A record of this type, as its device signed it.
pub async fn signed(http: &Http, id: RecordId, kind: &str) -> Result<Record> {
    let record = genuine(http, id).await?;
    if record.kind != kind {
        bail!("{id}: the hub answers with {}, not with {kind}", record.kind);
    }
    Ok(record)
}

/// A tally, and what is wrong with who signed it: it is the hub's to say, by the key that its DID document names.
pub async fn tally(http: &Http, id: RecordId) -> Result<(Record, Option<String>)> {
    let record = signed(http, id, "tally@1").await?;
    let hub = device_of(&Hub { http: http.clone() }).await?;
    let fault = not_by(&record, hub);
    Ok((record, fault))
}

/// That another device than the hub's signed it.
fn not_by(record: &Record, hub: Device) -> Option<String> {
    let (id, device) = (record.id, record.device);
    (device != hub).then(|| format!("{id} is signed by {device}, and not by the hub's own device {hub}"))
}

#[cfg(test)]
mod tests {
    use hub::records::{DeviceKey, Draft, Stamp};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tally_that_another_device_signed_is_not_the_hubs() {
        let [hub, other] = [1, 2].map(|seed| DeviceKey::from_seed([seed; 32]));
        let author = RecordId::of(&json!({ "of": "hub" })).unwrap();
        let said = |key: &DeviceKey| {
            let draft = Draft::new("tally@1", Some(author), Stamp::from_ms(0), json!({}));
            Record::read(&draft.about(author).sign(key).unwrap()).unwrap()
        };
        assert_eq!(not_by(&said(&hub), hub.device()), None);
        let fault = not_by(&said(&other), hub.device()).unwrap();
        assert!(fault.contains(&other.device().to_string()) && fault.contains("hub's own"), "{fault}");
    }
}
