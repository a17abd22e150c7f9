//! An executable specification of mlock accounting.
//!
//! Linux counts the memory that may not be swapped out, and publishes the number as `Mlocked:` in `/proc/meminfo`.
//! Over the years that number has drifted, now and then, by one page or by five hundred.
//! This crate says what the number ought to be, step by step, and knows nothing of any kernel:
//! no locks, no page tables, no flags, only sets of base pages and who owes what.
//!
//! | to learn | read |
//! |---|---|
//! | what is being counted, and why it drifts | [`book::accounting`] |
//! | what a state is | [`book::state`], [`State`] |
//! | what may happen, and what that does | [`book::transitions`], [`Transition`], [`Guard`] |
//! | what must hold, and why | [`book::laws`], [`Law`] |
//! | what changed over the years | [`book::contracts`], [`Contract`] |
//! | one race from start to end | [`book::race`] |
//! | what is left out | [`book::limits`] |
//!
//! To believe the specification it is enough to read three files:
//! [`state`] (what there is), [`check`] (what is permitted) and [`apply`] (what it does).
//! All amounts are base pages, never bytes and never folios.
//!
//! # In ten lines
//!
//! A task locks a folio of four pages, lets go of it, and pays for five.
//!
//! ```
//! use mlock_spec::{Contract, Law, State};
//!
//! let mut state = State::new("[0-3]".parse()?, 1, 1);
//! for step in [
//!     "CPU0: Call mlock(A, {0-3})",
//!     "CPU0: Want A {0-3}",
//!     "CPU0: Mark {0-3}",
//!     "CPU0: Account +4",
//!     "CPU0: Unwant A {0-3}",
//!     "CPU0: Clear {0-3}",
//! ] {
//!     state = state.apply(&step.parse()?, &Contract::ORIGINAL)?;
//! }
//! let refusal = state.apply(&"CPU0: Account −5".parse()?, &Contract::ORIGINAL).unwrap_err();
//! assert_eq!(refusal.to_string(), "Account −5 refused: debt is −4");
//! assert_eq!(refusal.law(), Law::AccountExactly);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod actor;
pub mod apply;
pub mod book;
pub mod check;
pub mod contract;
pub mod folios;
pub mod guard;
pub mod law;
pub mod pages;
pub mod state;
pub mod text;
pub mod transition;

pub use actor::{Actor, Call, Mm};
pub use contract::{Contract, MarkGuarantee, MunlockGuarantee};
pub use folios::Folios;
pub use guard::{Guard, GuardKind, Refusal};
pub use law::{AtRest, Law, Violation};
pub use pages::PageSet;
pub use state::State;
pub use text::ParseError;
pub use transition::{Transition, TransitionKind};
