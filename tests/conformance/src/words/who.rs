//! Accounts by who they are.

use std::{fmt, str::FromStr};

/// Who is who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// The zero address.
    Nobody,
    Buyer,
    Seller,
    /// An account that rules by itself.
    Arbiter,
    /// No party. It keeps the pools.
    Stranger,
    /// A seller and a buyer to whom no coin can be paid; they sign all the same.
    DeafSeller,
    DeafBuyer,
    /// Its signatures are nobody's.
    Forger,
    /// An arbiter that says of every deal that it accepted one ruling. Only on chains where arbiters are asked.
    Court,
    /// The chain's arbitration pools.
    Pools,
    /// One of those who may be on lists, by its place among them in ascending order of their addresses.
    Member(u8),
    /// Who holds a seat of jury 0 or 1 of the case's present instance.
    Seat(u8, u8),
}

impl Who {
    const NAMED: [(Self, &'static str); 10] = [
        (Self::Nobody, "nobody"),
        (Self::Buyer, "buyer"),
        (Self::Seller, "seller"),
        (Self::Arbiter, "arbiter"),
        (Self::Stranger, "stranger"),
        (Self::DeafSeller, "deaf seller"),
        (Self::DeafBuyer, "deaf buyer"),
        (Self::Forger, "forger"),
        (Self::Court, "court"),
        (Self::Pools, "pools"),
    ];
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(number) => write!(f, "member {number}"),
            Self::Seat(jury, seat) => write!(f, "seat {jury}/{seat}"),
            named => {
                let name = Self::NAMED.iter().find(|(who, _)| who == named).map(|(_, name)| *name);
                f.write_str(name.unwrap())
            }
        }
    }
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::NAMED.iter().find(|(_, name)| *name == text).map(|(who, _)| *who);
        let member = || text.strip_prefix("member ")?.parse().ok().map(Self::Member);
        let seat = || {
            let (jury, seat) = text.strip_prefix("seat ")?.split_once('/')?;
            Some(Self::Seat(jury.parse().ok()?, seat.parse().ok()?))
        };
        named.or_else(member).or_else(seat).ok_or_else(|| format!("`{text}` is nobody that vectors know"))
    }
}
