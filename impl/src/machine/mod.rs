//! A small machine for kernel algorithms.
//!
//! * [`World`]: what there is (regions of memory, address spaces, CPUs), fixed for a scenario.
//! * [`Op`], [`Expr`], [`Program`]: what a CPU does, as data; [`FolioOp`] the part of it that the
//!   kernels since v4.5 need.
//! * [`Asm`]: how kernel functions emit it.
//! * [`Layout`]: where each variable sits in a packed state.
//! * [`Machine::step`]: what happens when one CPU takes one step.

mod asm;
mod dataflow;
mod exec;
mod folio;
mod folio_exec;
mod layout;
mod lock;
mod op;
mod render;
mod state;
mod world;

pub use asm::{Asm, Cond, Target, page_locked, read, test_clear, test_set, trylock};
pub use exec::{Blocker, Bug, Event, Machine, Step};
pub use folio::{Batched, FolioOp, FolioSource, VmFlags};
pub use layout::{Field, Layout, LayoutError, Plane};
pub use lock::{Class, Kind, LockName, Mode, Scope};
pub use op::{Expr, Flag, Instr, LockRef, Op, Pc, Program, Reg, RegInfo, RegKind, Source};
pub use render::page_name;
pub use state::State;
pub use world::{Area, Memory, MmMemory, Pmd, Region, RegionKind, SMALL_BATCH, World};
