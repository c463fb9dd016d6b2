//! Input that nobody meant: bytes, texts and JSON at random, and what is valid after a few changes.

use std::{fmt, str::FromStr};

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Map, Value};

/// A change of bytes.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    /// From here on, so many.
    Remove(Index, usize),
    /// From here on so many, once more.
    Repeat(Index, usize),
    CutAt(Index),
}

/// One to six changes.
pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let letter = || prop_oneof![3 => prop::sample::select(&b"{}[]\":,.0019azAZ-+eE\\\n \0\x7f\xff="[..]), 1 => any::<u8>()];
    let edit = prop_oneof![
        4 => (any::<Index>(), letter()).prop_map(|(at, to)| Edit::Set(at, to)),
        2 => (any::<Index>(), vec(letter(), 1..9)).prop_map(|(at, what)| Edit::Insert(at, what)),
        2 => (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        2 => (any::<Index>(), 1..300_usize).prop_map(|(at, count)| Edit::Repeat(at, count)),
        1 => any::<Index>().prop_map(Edit::CutAt),
    ];
    vec(edit, 1..7)
}

/// The bytes after these changes.
pub(crate) fn edited(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut now = bytes.to_vec();
    for edit in edits {
        if now.is_empty() {
            break;
        }
        let reach = |at: usize, count: usize, len: usize| at + count.min(len - at);
        match edit {
            Edit::Set(at, to) => {
                let at = at.index(now.len());
                now[at] = *to;
            }
            Edit::Insert(at, what) => {
                let at = at.index(now.len());
                now.splice(at..at, what.iter().copied());
            }
            Edit::Remove(at, count) => {
                let at = at.index(now.len());
                now.drain(at..reach(at, *count, now.len()));
            }
            Edit::Repeat(at, count) => {
                let at = at.index(now.len());
                let again = now[at..reach(at, *count, now.len())].to_vec();
                now.splice(at..at, again);
            }
            Edit::CutAt(at) => now.truncate(at.index(now.len())),
        }
    }
    now
}

/// The text after these changes; what is no UTF-8 is put right.
pub(crate) fn edited_text(text: &str, edits: &[Edit]) -> String {
    String::from_utf8_lossy(&edited(text.as_bytes(), edits)).into_owned()
}

/// Any text: letters of every script, and what is none.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,80}",
        vec(any::<u8>(), 0..300).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "[a-z0-9]{1,8}(:[a-zA-Z0-9]{1,44}){0,4}",
    ]
}

/// What is read is written as it was: there is one way to write each. Answers whether it is read.
pub(crate) fn in_one_form<T: FromStr + fmt::Display>(text: &str) -> bool {
    let read = text.parse::<T>().ok();
    if let Some(read) = &read {
        assert_eq!(read.to_string(), text);
    }
    read.is_some()
}

/// What is read is read back. Answers whether it is read.
pub(crate) fn reads_back<T: FromStr + fmt::Display + fmt::Debug + PartialEq>(text: &str) -> bool {
    let read = text.parse::<T>().ok();
    if let Some(read) = &read {
        assert_eq!(read.to_string().parse::<T>().ok().as_ref(), Some(read), "{text}");
    }
    read.is_some()
}

/// What stands in good input.
const WORDS: [&str; 22] = [
    "",
    "0",
    "1",
    "340282366920938463463374607431768211456",
    "-1",
    "public",
    "time_credit",
    "eip155:31337",
    "eip155:31337/slip44:60",
    "eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
    "zQmU9cKnMNCuoyF8aSqq4jXTsD4cBSyGx2CbvxFL1jEChjp",
    "2026-11-21T10:00:00Z",
    "9999-12-31T23:59:59Z",
    "0x",
    "0x0000000000000000000000000000000000000000000000000000000000000000",
    "yes",
    "open",
    "personal",
    "\u{0}",
    "\u{202e}evil",
    "https://example.com/a?b#c",
];

/// Any JSON, five deep, with words that stand in good input among others.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..300_i64).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&WORDS[..]).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec(("[a-z_]{1,12}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A change of JSON, at one of its values.
#[derive(Clone, Debug)]
pub(crate) enum Graft {
    Replace(Index, Value),
    Remove(Index),
    /// Another member, or another element.
    Add(Index, String, Value),
    /// The value of another place.
    Copy(Index, Index),
}

/// One to four changes.
pub(crate) fn grafts() -> impl Strategy<Value = Vec<Graft>> {
    let graft = prop_oneof![
        4 => (any::<Index>(), json()).prop_map(|(at, by)| Graft::Replace(at, by)),
        2 => any::<Index>().prop_map(Graft::Remove),
        1 => (any::<Index>(), "[a-z_]{1,12}", json()).prop_map(|(at, name, value)| Graft::Add(at, name, value)),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Graft::Copy(from, to)),
    ];
    vec(graft, 1..5)
}

/// The pointers of all values, the root's first.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), all);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                places(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        _ => {}
    }
}

/// The JSON after these changes.
pub(crate) fn grafted(value: &Value, grafts: &[Graft]) -> Value {
    let mut now = value.clone();
    for graft in grafts {
        let mut all = Vec::new();
        places(&now, "", &mut all);
        let place = |at: &Index| all[at.index(all.len())].clone();
        match graft {
            Graft::Replace(at, by) => *now.pointer_mut(&place(at)).unwrap() = by.clone(),
            Graft::Remove(at) => {
                let place = place(at);
                let Some((parent, last)) = place.rsplit_once('/') else { continue };
                match now.pointer_mut(parent).unwrap() {
                    Value::Array(items) => drop(items.remove(last.parse().unwrap())),
                    Value::Object(members) => {
                        members.remove(&last.replace("~1", "/").replace("~0", "~"));
                    }
                    _ => unreachable!(),
                }
            }
            Graft::Add(at, name, value) => match now.pointer_mut(&place(at)).unwrap() {
                Value::Array(items) => items.push(value.clone()),
                Value::Object(members) => drop(members.insert(name.clone(), value.clone())),
                other => *other = value.clone(),
            },
            Graft::Copy(from, to) => {
                let copied = now.pointer(&place(from)).unwrap().clone();
                *now.pointer_mut(&place(to)).unwrap() = copied;
            }
        }
    }
    now
}
