//! The book: what the specification says, and why, chapter by chapter.
//!
//! 1. [What mlock accounting is](accounting)
//! 2. [The state](state)
//! 3. [The transitions](transitions)
//! 4. [The laws](laws)
//! 5. [The contracts](contracts)
//! 6. [The worked example: munlock against split](race)
//! 7. [What is not specified](limits)
//!
//! Every example is a test, and the tables and formulas are compared with the code.

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
