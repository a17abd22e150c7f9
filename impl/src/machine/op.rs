//! The instruction set, as data.

use super::folio::{FolioOp, FolioSource};
use super::lock::{Class, Mode};
use super::pagevec::Pagevec;
use super::world::{Area, Pmd};
use serde::{Deserialize, Serialize};
use std::ops::{Add, BitAnd, Neg, Not, Sub};
use std::panic::Location;

/// The index of an instruction.
pub type Pc = u16;

/// A local variable of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reg(pub u16);

/// What a local variable may hold, which decides its width in a packed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RegKind {
    /// 0 or 1.
    Flag,
    /// A page-table state ([`Pmd`]) or another number below 8.
    Small,
    /// An address or page number, up to one huge page past the end.
    Page,
    /// A signed number of pages, at most one huge page and one either way.
    Count,
}

/// A name and a kind for a local variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegInfo {
    /// The name in the kernel's source, where it has one.
    pub name: String,
    /// What it holds.
    pub kind: RegKind,
}

/// A computation on local variables alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expr {
    /// A number.
    Const(i64),
    /// The value of a local variable.
    Reg(Reg),
    /// A sum.
    Add(Box<Expr>, Box<Expr>),
    /// A difference.
    Sub(Box<Expr>, Box<Expr>),
    /// Bitwise and.
    And(Box<Expr>, Box<Expr>),
    /// Bitwise complement.
    Not(Box<Expr>),
    /// 1 if equal, otherwise 0.
    Eq(Box<Expr>, Box<Expr>),
    /// 1 if less, otherwise 0.
    Lt(Box<Expr>, Box<Expr>),
    /// The value as an unsigned number of 32 bits, the way C widens an `unsigned int`.
    Unsigned32(Box<Expr>),
    /// The first page of a page vector from a number on; past the last page of memory, if none is.
    NextIn(Pagevec, Box<Expr>),
    /// How many pages a page vector holds.
    CountIn(Pagevec),
    /// How many entries this CPU's batch has.
    BatchLen,
    /// The page of an entry of this CPU's batch; past the last page of memory, if there is none.
    BatchPage(Box<Expr>),
    /// What an entry of this CPU's batch asks for ([`super::Batched`]).
    BatchKind(Box<Expr>),
}

impl Expr {
    /// 1 if both are equal, otherwise 0.
    pub fn is(self, other: impl Into<Expr>) -> Expr {
        Expr::Eq(Box::new(self), Box::new(other.into()))
    }

    /// 1 if less than `other`, otherwise 0.
    pub fn less_than(self, other: impl Into<Expr>) -> Expr {
        Expr::Lt(Box::new(self), Box::new(other.into()))
    }

    /// 1 if zero, otherwise 0.
    pub fn is_zero(self) -> Expr {
        self.is(0)
    }

    /// Whether the value may be as large as 32 bits are.
    pub(super) fn is_wide(&self) -> bool {
        match self {
            Expr::Unsigned32(_) => true,
            Expr::Const(_)
            | Expr::Reg(_)
            | Expr::NextIn(..)
            | Expr::CountIn(_)
            | Expr::BatchLen
            | Expr::BatchPage(_)
            | Expr::BatchKind(_) => false,
            Expr::Not(a) => a.is_wide(),
            Expr::Add(a, b)
            | Expr::Sub(a, b)
            | Expr::And(a, b)
            | Expr::Eq(a, b)
            | Expr::Lt(a, b) => a.is_wide() || b.is_wide(),
        }
    }

    /// The page vectors it looks into.
    fn pagevecs(&self, out: &mut Vec<Pagevec>) {
        match self {
            Expr::NextIn(vec, a) => {
                out.push(*vec);
                a.pagevecs(out);
            }
            Expr::CountIn(vec) => out.push(*vec),
            Expr::Const(_) | Expr::Reg(_) | Expr::BatchLen => {}
            Expr::Not(a) | Expr::Unsigned32(a) | Expr::BatchPage(a) | Expr::BatchKind(a) => {
                a.pagevecs(out)
            }
            Expr::Add(a, b)
            | Expr::Sub(a, b)
            | Expr::And(a, b)
            | Expr::Eq(a, b)
            | Expr::Lt(a, b) => {
                a.pagevecs(out);
                b.pagevecs(out);
            }
        }
    }

    /// Every local variable the expression reads.
    pub(super) fn regs(&self, out: &mut Vec<Reg>) {
        match self {
            Expr::Const(_) | Expr::CountIn(_) | Expr::BatchLen => {}
            Expr::Reg(reg) => out.push(*reg),
            Expr::Not(a)
            | Expr::Unsigned32(a)
            | Expr::NextIn(_, a)
            | Expr::BatchPage(a)
            | Expr::BatchKind(a) => a.regs(out),
            Expr::Add(a, b)
            | Expr::Sub(a, b)
            | Expr::And(a, b)
            | Expr::Eq(a, b)
            | Expr::Lt(a, b) => {
                a.regs(out);
                b.regs(out);
            }
        }
    }
}

impl Reg {
    /// The variable's value, as an expression.
    pub fn get(self) -> Expr {
        Expr::Reg(self)
    }

    /// 1 if it equals `other`, otherwise 0.
    pub fn is(self, other: impl Into<Expr>) -> Expr {
        self.get().is(other)
    }
}

impl From<Reg> for Expr {
    fn from(reg: Reg) -> Expr {
        Expr::Reg(reg)
    }
}

impl From<i64> for Expr {
    fn from(value: i64) -> Expr {
        Expr::Const(value)
    }
}

impl From<i32> for Expr {
    fn from(value: i32) -> Expr {
        Expr::Const(value.into())
    }
}

impl From<u16> for Expr {
    fn from(value: u16) -> Expr {
        Expr::Const(value.into())
    }
}

impl From<Pmd> for Expr {
    fn from(value: Pmd) -> Expr {
        Expr::Const(value as i64)
    }
}

macro_rules! binary {
    ($($trait:ident $method:ident $case:ident),*) => {$(
        impl<T: Into<Expr>> $trait<T> for Expr {
            type Output = Expr;
            fn $method(self, other: T) -> Expr {
                Expr::$case(Box::new(self), Box::new(other.into()))
            }
        }
        impl<T: Into<Expr>> $trait<T> for Reg {
            type Output = Expr;
            fn $method(self, other: T) -> Expr {
                self.get().$method(other)
            }
        }
    )*};
}
binary!(Add add Add, Sub sub Sub, BitAnd bitand And);

impl Neg for Reg {
    type Output = Expr;
    fn neg(self) -> Expr {
        Expr::Const(0) - self
    }
}

impl Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        Expr::Const(0) - self
    }
}

impl Not for Reg {
    type Output = Expr;
    fn not(self) -> Expr {
        Expr::Not(Box::new(self.get()))
    }
}

/// A lock, with the page it belongs to possibly computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRef {
    /// The class.
    pub class: Class,
    /// The address space, the region's first page, or the page; 0 for a global lock.
    pub index: Expr,
}

/// A page flag that programs test and set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Flag {
    /// `PG_mlocked`.
    Mlocked,
    /// `PG_lru`: the page is on a list of the page replacement.
    Lru,
    /// `PG_unevictable`: that list is the unevictable one.
    Unevictable,
    /// `PG_double_map` of a huge page of a file: a pte has mapped it.
    DoubleMap,
}

impl Flag {
    /// The middle of the kernel's accessor names: `Page…`.
    pub fn name(self) -> &'static str {
        match self {
            Flag::Mlocked => "Mlocked",
            Flag::Lru => "LRU",
            Flag::Unevictable => "Unevictable",
            Flag::DoubleMap => "DoubleMap",
        }
    }
}

/// Something in shared memory that one load can fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A page flag: 0 or 1.
    Flag(Flag, Expr),
    /// `PageLocked()`: whether any CPU holds the page lock.
    PageLocked(Expr),
    /// `PageCompound()`: whether the page is a head or a tail.
    PageCompound(Expr),
    /// `hpage_nr_pages()`: base pages; a bug on a tail (`VM_BUG_ON` in `PageTransHuge`).
    NrPages(Expr),
    /// `page_mapcount()`: how many address spaces map the page.
    Mapcount(Expr),
    /// The page-middle-directory entry of an address space for a region ([`Pmd`]).
    Pmd(u8, u16),
    /// As `Pmd`, for the region of a computed address.
    PmdAt(u8, Expr),
    /// Whether the pte for an address is present.
    PtePresent(u8, Expr),
    /// Whether the area around an address has `VM_LOCKED`.
    VmLocked(u8, Expr),
    /// Whether any address of a range has `VM_LOCKED`.
    VmLockedIn(Area),
    /// `PageTransHuge()`: whether the page heads a huge page; a bug on a tail (`VM_BUG_ON`).
    PageTransHuge(Expr),
    /// Whether `page->mapping` is set: not on a tail, until the split gives it its own.
    HasMapping(Expr),
    /// The frame that an address space maps at an address that is known to be mapped.
    PageAt(u8, Expr),
    /// Whether an address space's pte maps this very frame.
    PteMaps(u8, Expr),
    /// Whether anybody but this CPU and those who map the page holds a reference on it.
    HeldElsewhere(Expr),
    /// The frame whose migration entry an address space has at an address, and 1; 0 if none.
    MigrationAt(u8, Expr),
    /// Something about folios.
    Folio(FolioSource),
}

/// One instruction: one atomic action on shared memory, or local work that takes no step of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Local: assigns a variable.
    Set(Reg, Expr),
    /// Local: goes on elsewhere.
    Jump(Pc),
    /// Local: goes on with the next instruction if the value is not 0, otherwise elsewhere.
    Branch(Expr, Pc),

    /// Begins the call with this number.
    Enter(u8),
    /// Ends the call with this number.
    Leave(u8),

    /// Waits for a lock and takes it.
    Acquire(LockRef, Mode),
    /// Takes a lock if that is possible at once; otherwise goes on elsewhere.
    TryAcquire(LockRef, Mode, Pc),
    /// Gives a lock back; a bug if this CPU does not hold it.
    Release(LockRef),
    /// Gives a lock back if this CPU holds it. No kernel does that: it is for mutants, in which the
    /// acquisition may be gone.
    ReleaseIfHeld(LockRef),

    /// Takes a reference on a page that is known to have one.
    GetPage(Expr),
    /// Takes a reference if the page has one already; otherwise goes on elsewhere.
    GetPageUnlessZero(Expr, Pc),
    /// Drops a reference; the variable becomes 1 if it was the last one of the page's folio.
    PutPage(Expr, Reg),
    /// Drops the reference that a split took on a tail; the variable becomes 1 if it was the last.
    PutSplitRef(Expr, Reg),
    /// Gives a page without references back to the allocator, with the folio it is part of.
    Free(Expr),

    /// Fetches a value.
    Load(Reg, Source),
    /// A `BUG_ON()`: fetches a value and stops this run if the condition on it is not 0.
    BugOn(Reg, Source, Expr),
    /// Sets a page flag and fetches its old value, at once.
    TestSet(Flag, Expr, Reg),
    /// Clears a page flag and fetches its old value, at once.
    TestClear(Flag, Expr, Reg),
    /// Sets a page flag.
    SetFlag(Flag, Expr),
    /// Adds to `NR_MLOCK`, in base pages.
    ModNrMlock(Expr),

    /// A split takes a reference on a tail.
    GetSplitRef(Expr),
    /// A split clears all flags of a tail, `PG_tail` and `PG_locked` among them.
    ClearTailFlags(Expr),
    /// A split sets a former tail's flags from what it read of the head's: from here on the page
    /// speaks for itself. The value is that of `PG_mlocked`.
    SetTailFlags(Expr, Expr),
    /// `ClearPageCompound()`: the head's size becomes one base page.
    ClearCompound(Expr),

    /// Sets the page-middle-directory entry of an address space for a region.
    SetPmd(u8, u16, Pmd),
    /// Replaces a huge entry by a table that maps every page of the region.
    FillTable(u8, u16),
    /// Clears a pte and drops the page's mapcount; the variable becomes 1 if that was the last
    /// mapping. The entry's reference on the page passes to this CPU.
    ClearPte(u8, Expr, Reg),
    /// Clears a huge entry and drops the page's mapcount; the variable becomes 1 if that was the
    /// last mapping. The entry's reference on the page passes to this CPU.
    ClearHugePmd(u8, u16, Reg),
    /// Copies a huge entry or a table from one address space to another.
    CopyPmd(u8, u8, u16),
    /// Sets or clears `VM_LOCKED` for a range.
    SetVmLocked(Area, bool),

    /// Local: a reference that this CPU holds passes to a page vector (`pagevec_add()`).
    VecAdd(Pagevec, Expr),
    /// Local: a page vector's reference passes to this CPU.
    VecTake(Pagevec, Expr),
    /// Local: a page passes from one page vector to another, with its reference.
    VecMove(Pagevec, Pagevec, Expr),
    /// Maps a frame by a pte.
    SetPte(u8, Expr),
    /// As `ClearPte`, and leaves a migration entry.
    PteToMigration(u8, Expr, Reg),
    /// Replaces the migration entry for the first frame by a pte for the second.
    MigrationToPte(u8, Expr, Expr),
    /// Drops the migration entry for a frame: its area is unmapped.
    ClearMigration(u8, Expr),
    /// `prep_compound_page()`: the frames of a region become one huge page.
    MakeCompound(u16),
    /// An instruction on folios.
    Folio(FolioOp),
}

impl Op {
    /// The class of lock it takes, if it takes one.
    pub fn takes(&self) -> Option<Class> {
        match self {
            Op::Acquire(lock, _) | Op::TryAcquire(lock, _, _) => Some(lock.class),
            _ => None,
        }
    }

    /// The class of lock it is about, if it takes, tries or gives back one.
    pub fn lock_class(&self) -> Option<Class> {
        match self {
            Op::Release(lock) | Op::ReleaseIfHeld(lock) => Some(lock.class),
            _ => self.takes(),
        }
    }

    /// The page it is about, if that is computed; not the one whose page-table entry it fetches, for
    /// neighbours share that.
    pub(super) fn page_mut(&mut self) -> Option<&mut Expr> {
        match self {
            Op::GetPage(page)
            | Op::GetPageUnlessZero(page, _)
            | Op::PutPage(page, _)
            | Op::PutSplitRef(page, _)
            | Op::Free(page)
            | Op::TestSet(_, page, _)
            | Op::TestClear(_, page, _)
            | Op::SetFlag(_, page)
            | Op::GetSplitRef(page)
            | Op::ClearTailFlags(page)
            | Op::SetTailFlags(page, _)
            | Op::ClearCompound(page)
            | Op::ClearPte(_, page, _) => Some(page),
            Op::Load(
                _,
                Source::Flag(_, page)
                | Source::PageCompound(page)
                | Source::NrPages(page)
                | Source::Mapcount(page)
                | Source::PtePresent(_, page)
                | Source::VmLocked(_, page),
            ) => Some(page),
            _ => None,
        }
    }

    /// Whether the instruction touches nothing that others can see, and so takes no step of its own.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Op::Set(..)
                | Op::Jump(_)
                | Op::Branch(..)
                | Op::VecAdd(..)
                | Op::VecTake(..)
                | Op::VecMove(..)
        )
    }

    /// The page vectors it touches or looks into.
    pub(super) fn pagevecs(&self) -> Vec<Pagevec> {
        let mut out = Vec::new();
        match self {
            Op::Set(_, e) | Op::Branch(e, _) | Op::ModNrMlock(e) => e.pagevecs(&mut out),
            Op::VecAdd(vec, _) | Op::VecTake(vec, _) => out.push(*vec),
            Op::VecMove(from, to, _) => out.extend([*from, *to]),
            _ => {}
        }
        out
    }
}

/// An instruction with its place in the kernel's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instr {
    /// What it does.
    pub op: Op,
    /// A name that is unique in its program and survives edits elsewhere: function and action.
    pub label: String,
    /// The kernel function it belongs to.
    pub function: String,
    /// How many functions deep it is, from the system call down.
    pub depth: u8,
    /// The commit, version or mail it was read in.
    pub cite: String,
    /// The line that emitted it, which tells what was written once and emitted several times.
    #[serde(skip)]
    pub at: Option<&'static Location<'static>>,
}

/// What one CPU runs: one call after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The instructions. Running off the end is the end.
    pub code: Vec<Instr>,
    /// The local variables.
    pub regs: Vec<RegInfo>,
}
