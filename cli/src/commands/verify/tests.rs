//! Heads and what shows that a log goes on, as they stand in files and come from a hub.

use alloy::primitives::B256;
use hub::records::{DeviceKey, Head, Stamp};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    exit::code,
    testing::noise::{edited, edits, grafted, grafts, json as any_json},
};

fn key() -> DeviceKey {
    DeviceKey::from_seed([7; 32])
}

fn head(size: u64, root: [u8; 32]) -> Head {
    Head { size, root: B256::from(root), at: Stamp::from_ms(1_795_255_200_000), proof: None }
}

/// The head in a file, as `verify log` takes it.
fn head_in(file: &Value) -> Result<Head> {
    head_of(file.pointer("/log_proof/head").unwrap_or(file), key().device())
}

fn sizes() -> impl Strategy<Value = u64> {
    prop_oneof![1..40_u64, any::<u64>()]
}

proptest! {
    #[test]
    fn a_head_in_a_file_is_what_its_hub_signed_or_does_not_hold(
        size: u64, root: [u8; 32], in_bundle: bool, grafts in grafts(), edits in edits(), other in any_json(),
    ) {
        let signed = head(size, root).sign(&key()).unwrap();
        let good = if in_bundle { json!({ "log_proof": { "head": signed, "paths": [] } }) } else { signed };
        let read = head_in(&good).unwrap();
        prop_assert_eq!(&Head { proof: None, ..read.clone() }, &head(size, root));
        let edited = serde_json::from_slice(&edited(&serde_json::to_vec(&good).unwrap(), &edits)).ok();
        for file in [edited, Some(grafted(&good, &grafts)), Some(other)].into_iter().flatten() {
            match head_in(&file) {
                Ok(head) => prop_assert_eq!(&head, &read),
                Err(error) => {
                    prop_assert_eq!(code(&error), 3);
                    prop_assert!(error.to_string().starts_with("the head"), "{error}");
                }
            }
        }
    }

    #[test]
    fn no_path_leads_from_one_log_to_another(
        then in sizes(), now in sizes(), roots: ([u8; 32], [u8; 32]), path in vec(any::<[u8; 32]>(), 0..9),
    ) {
        let (earlier, later) = (head(then, roots.0), head(now, roots.1));
        let path: Vec<B256> = path.into_iter().map(B256::from).collect();
        prop_assert!(roots.0 == roots.1 || !later.continues(&earlier, &path));
    }

    #[test]
    fn what_shows_that_a_log_goes_on_is_read_as_it_was_written(
        from: u64, to: u64, path in vec(any::<[u8; 32]>(), 0..5), grafts in grafts(), edits in edits(),
    ) {
        let shown = Consistency { from, to, path: path.into_iter().map(B256::from).collect() };
        let written = serde_json::to_value(&shown).unwrap();
        prop_assert_eq!(&serde_json::from_value::<Consistency>(written.clone()).unwrap(), &shown);
        let edited = serde_json::from_slice(&edited(&serde_json::to_vec(&written).unwrap(), &edits)).ok();
        for changed in [edited, Some(grafted(&written, &grafts))].into_iter().flatten() {
            if let Ok(read) = serde_json::from_value::<Consistency>(changed) {
                let written = serde_json::to_value(&read).unwrap();
                prop_assert_eq!(serde_json::from_value::<Consistency>(written).unwrap(), read);
            }
        }
    }
}
