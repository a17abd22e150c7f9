//! Text forms: the error of a failed reading, signed numbers, and serde by way of text.
//!
//! Whatever has a `Display` here also has a `FromStr` that reads it back.
//! Small values ([`PageSet`](crate::PageSet), [`Folios`](crate::Folios), [`Contract`](crate::Contract)) are also written that way in RON.

use std::error::Error;
use std::fmt;

/// Why a piece of text could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    expected: &'static str,
    text: String,
}

impl ParseError {
    /// Builds the error from what was expected and what was found instead.
    pub(crate) fn new(expected: &'static str, text: &str) -> Self {
        let text = text.to_owned();
        ParseError { expected, text }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.text, self.expected)
    }
}

impl Error for ParseError {}

/// Writes a change of a number with its sign: `+4`, `−3`, `0`.
///
/// The minus is U+2212, so that it lines up with the plus.
pub(crate) fn signed(number: i64) -> String {
    let sign = match number.signum() {
        1 => "+",
        -1 => "−",
        _ => "",
    };
    format!("{sign}{}", number.unsigned_abs())
}

/// Reads a number that [`signed`] wrote; the sign may also be ASCII or missing.
pub(crate) fn parse_signed(text: &str) -> Option<i64> {
    text.replacen('−', "-", 1).parse().ok()
}

/// Splits `text` at the first occurrence of `mark` and trims both sides.
pub(crate) fn split_trim<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let (left, right) = text.split_once(mark)?;
    Some((left.trim(), right.trim()))
}

/// Implements serde for a type as its text form.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use serde_as_text;

/// Defines a fieldless enum that lists the variants of another, and the method `kind` that maps one to the other.
///
/// The map is exhaustive, so a variant that is not listed does not compile, and `ALL` is complete.
macro_rules! kinds {
    ($(#[$meta:meta])* $kind:ident of $whole:ident: $($name:ident)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[expect(missing_docs, reason = "each is documented at its namesake with operands")]
        pub enum $kind {
            $($name,)*
        }

        impl $kind {
            /// All kinds, in the order of definition.
            pub const ALL: [$kind; [$($kind::$name),*].len()] = [$($kind::$name),*];
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(match self {
                    $($kind::$name => stringify!($name),)*
                })
            }
        }

        impl $whole {
            /// Returns the kind.
            pub fn kind(&self) -> $kind {
                match self {
                    $($whole::$name { .. } => $kind::$name,)*
                }
            }
        }
    };
}

pub(crate) use kinds;
