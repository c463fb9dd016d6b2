//! What every list of refusals has in common: a name, a class, and the rule which of several is given.
//!
//! The lists themselves are [`crate::deal::Refusal`] and [`crate::arbitration::Refusal`]. Their names and their order are
//! those of the contract interfaces, and part of the protocol (`docs/protocol.md`, section 4).

use crate::{arbitration, deal};

/// Why something is refused, roughly. When several refusals apply, the one of the first class is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The terms or rules themselves are not valid.
    Terms,
    /// Not in this state.
    State,
    /// Not at this time.
    Time,
    /// Not by this account, or not with this signature.
    Authority,
    /// Not this value.
    Amount,
    /// The payment did not arrive as it must.
    Intake,
}

/// Declares an enum of refusals, class by class, with its names for tests and documentation.
macro_rules! refusals {
    (
        $(#[$outer:meta])*
        $(
            $class:ident {
                $(
                    $(#[$doc:meta])*
                    $name:ident $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),* })? = $message:literal
                ),* $(,)?
            }
        )*
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Refusal {
            $($(
                $(#[$doc])*
                #[error($message)]
                $name $({ $($(#[$field_doc])* $field: $type),* })?,
            )*)*
        }

        impl Refusal {
            /// Every refusal's name with its class, in the order of the protocol.
            pub const ALL: &[(&'static str, $crate::refusal::Class)] =
                &[$($((stringify!($name), $crate::refusal::Class::$class),)*)*];

            /// The name in the contract's ABI.
            pub const fn name(&self) -> &'static str {
                match self {
                    $($(Self::$name { .. } => stringify!($name),)*)*
                }
            }

            /// Its class.
            pub const fn class(&self) -> $crate::refusal::Class {
                match self {
                    $($(Self::$name { .. } => $crate::refusal::Class::$class,)*)*
                }
            }
        }
    };
}
pub(crate) use refusals;

/// What a chain said when it refused. Where both contracts of an EVM chain have a refusal of the same name and words
/// (`NotDisputed`, `TooEarly`, `TooLate`, `SignatureExpired`, `NotParty`, `InvalidSignature`, `NotEnoughGas`, `Reentered`), which share
/// one selector, it reads as the escrow's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The escrow's refusal, perhaps passed on by the arbiter.
    #[error("{}: {_0}", _0.name())]
    Escrow(deal::Refusal),
    /// The arbitration pools' refusal.
    #[error("{}: {_0}", _0.name())]
    Pools(arbitration::Refusal),
}

impl Refused {
    /// The name in the contract's ABI.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Escrow(refusal) => refusal.name(),
            Self::Pools(refusal) => refusal.name(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Class;

    /// The refusals that a Solidity interface declares under its `REFUSALS, <class>` headings, in order.
    pub fn declared(interface: &str) -> Vec<(String, Class)> {
        let mut class = None;
        let mut found = Vec::new();
        for line in interface.lines().map(str::trim) {
            if let Some(heading) = line.strip_prefix("/* REFUSALS, ") {
                class = Some(match heading.split([' ', '*']).next().unwrap() {
                    "terms" => Class::Terms,
                    "state" => Class::State,
                    "time" => Class::Time,
                    "authority" => Class::Authority,
                    "amount" => Class::Amount,
                    "intake" => Class::Intake,
                    other => panic!("unknown class {other}"),
                });
            } else if let Some(error) = line.strip_prefix("error ") {
                found.push((error.split('(').next().unwrap().to_owned(), class.unwrap()));
            }
        }
        assert!(found.is_sorted_by_key(|(_, class)| *class), "the interface lists the classes out of order");
        found
    }

    pub fn owned(all: &[(&str, Class)]) -> Vec<(String, Class)> {
        all.iter().map(|(name, class)| ((*name).to_owned(), *class)).collect()
    }
}
