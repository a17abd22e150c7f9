//! An executable specification of mlock accounting.

pub mod actor;
pub mod apply;
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
