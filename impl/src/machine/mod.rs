//! A small machine for kernel algorithms.
//!
//! * [`World`]: what there is (regions of memory, address spaces, CPUs), fixed for a scenario.
//! * [`Op`], [`Expr`], [`Program`]: what a CPU does, as data.
//! * [`Asm`]: how kernel functions emit it.
//! * [`Layout`]: where each variable sits in a packed state.
//! * [`Mutation`]: a program with one mistake in it.
//! * [`Machine::step`]: what happens when one CPU takes one step.

mod asm;
mod dataflow;
mod exec;
mod layout;
mod lock;
mod mutate;
mod op;
mod render;
mod state;
mod world;

pub use asm::{Asm, Cond, Target, page_locked, read, test_clear, test_set, trylock};
pub use exec::{Blocker, Bug, Event, Machine, Step};
pub use layout::{Field, Layout, LayoutError, Plane};
pub use lock::{Class, Kind, LockName, Mode, Scope};
pub use mutate::{Mistake, Mutation, Place};
pub use op::{Expr, Flag, Instr, LockRef, Op, Pc, Program, Reg, RegInfo, RegKind, Source};
pub use render::page_name;
pub use state::State;
pub use world::{Area, Memory, MmMemory, Pmd, Region, RegionKind, World};
