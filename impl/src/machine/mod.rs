//! A small machine for kernel algorithms.
//!
//! * [`World`]: what there is (regions of memory, address spaces, CPUs), fixed for a scenario.
//! * [`Op`], [`Expr`], [`Program`]: what a CPU does, as data; [`FolioOp`] the part of it that the
//!   kernels since v4.5 need.
//! * [`Pagevec`]: the batches of pages that a CPU keeps, each with a reference.
//! * [`Asm`]: how kernel functions emit it.
//! * [`Layout`]: where each variable sits in a packed state.
//! * [`Mutation`]: a program with one mistake in it.
//! * [`Machine::step`]: what happens when one CPU takes one step.
//! * [`Access`]: what a step touches; [`Machine::interferers`]: who else may still touch it.

mod ahead;
mod asm;
mod dataflow;
mod exec;
mod folio;
mod folio_exec;
mod footprint;
mod interval;
mod layout;
mod lock;
mod mutate;
mod op;
mod packed;
mod pagevec;
mod render;
mod state;
mod twins;
mod world;

pub use ahead::Ahead;
pub use asm::{Asm, Cond, Target, page_locked, read, test_clear, test_set, trylock};
pub use exec::{Blocker, Bug, Event, Machine, Step};
pub use folio::{Batched, FolioOp, FolioSize, FolioSource, VmFlags};
pub use footprint::{Access, Object};
pub use layout::{Layout, LayoutError, widest};
pub use lock::{Class, Kind, LockName, Mode, Scope};
pub use mutate::{Mistake, Mutation, Place};
pub use op::{Expr, Flag, Instr, LockRef, Op, Pc, Program, Reg, RegInfo, RegKind, Source};
pub use packed::{Field, Plane};
pub use pagevec::{Batch, Pagevec};
pub use render::page_name;
pub use state::State;
pub use world::{Area, Memory, MmMemory, Pmd, Region, RegionKind, SMALL_BATCH, World};
