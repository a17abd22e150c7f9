//! The specification as a short book, one chapter per module; every example is a test.

#[doc = include_str!("book/accounting.md")]
pub mod accounting {}

#[doc = include_str!("book/state.md")]
pub mod state {}

#[doc = include_str!("book/transitions.md")]
pub mod transitions {}

#[doc = include_str!("book/laws.md")]
pub mod laws {}

#[doc = include_str!("book/contracts.md")]
pub mod contracts {}

#[doc = include_str!("book/race.md")]
pub mod race {}

#[doc = include_str!("book/limits.md")]
pub mod limits {}
