//! An executable specification of mlock accounting.
//!
//! Linux counts the pages that it keeps in memory on request, and shows the count as `Mlocked:` in `/proc/meminfo`.
//! This crate says what that count may do: a [`State`], the [`Transition`]s that may change it, and the [`Law`]s that it keeps.
//! It knows nothing of locks, CPUs or kernel versions, and depends on nothing that does.
//! All amounts are base pages.
//!
//! The central claim is one line, [`Law::AccountExactly`]:
//!
//! ```text
//! nr_mlock + Σₐ debt[a] = |mlocked|
//! ```
//!
//! Whoever marks or clears pages owes the difference to the statistic, pays exactly that, and returns owing nothing.
//!
//! ```
//! use mlock_spec::{Contract, Folios, State};
//!
//! let folios: Folios = "[0-3]".parse()?;
//! let mut state = State::new(folios, 1, 1);
//! for step in [
//!     "CPU0: Call mlock(A, {0-3})",
//!     "CPU0: Want A {0-3}",
//!     "CPU0: Mark {0-3}",
//! ] {
//!     state = state.apply(&step.parse()?, &Contract::ORIGINAL)?;
//! }
//! assert_eq!((state.nr_mlock, state.debt[0], state.mlocked.len()), (0, 4, 4));
//!
//! let refusal = state.apply(&"CPU0: Account +1".parse()?, &Contract::ORIGINAL).unwrap_err();
//! assert_eq!(refusal.to_string(), "Account +1 refused: debt is +4");
//!
//! let paid = state.apply(&"CPU0: Account +4".parse()?, &Contract::ORIGINAL)?;
//! let done = paid.apply(&"CPU0: Return".parse()?, &Contract::ORIGINAL)?;
//! assert_eq!(done.nr_mlock, 4);
//! assert!(done.quiescent_violations().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where to read on:
//!
//! - the [`book`] explains everything in seven short chapters, and [`book::race`] is the example to start from;
//! - [`state`], [`transition`], [`check`] (guards), [`apply`] (effects) and [`law`] are the specification itself;
//! - [`contract`] says which guarantees held in which era;
//! - [`pages`], [`folios`], [`actor`] and [`text`] are the vocabulary.

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
pub use contract::{Contract, SplitGuarantee};
pub use folios::Folios;
pub use guard::{Guard, GuardKind, Refusal};
pub use law::{Law, Violation};
pub use pages::PageSet;
pub use state::State;
pub use text::ParseError;
pub use transition::{Transition, TransitionKind};
