//! The assembler: kernel functions are ordinary Rust functions that emit instructions through it.
//!
//! A call is a Rust call inside [`Asm::function`], a local variable is [`Asm::local`], control flow
//! takes closures.
//! What is known when the program is built (which address space, which range) is an ordinary Rust
//! value; what is known only when it runs is an [`Expr`].

use super::folio::FolioOp;
use super::lock::{Class, Mode};
use super::op::{Expr, Flag, Instr, LockRef, Op, Pc, Program, Reg, RegInfo, RegKind, Source};
use super::render;
use super::world::World;
use std::collections::BTreeMap;
use std::panic::Location;

/// A place in the program that is jumped to before or after it is placed.
#[derive(Clone, Copy, Debug)]
pub struct Target(Pc);

/// What an `if` asks.
#[derive(Clone, Debug)]
pub enum Cond {
    /// A local value; true if not 0.
    Local(Expr),
    /// A value in shared memory.
    Load(Source),
    /// The old value of a page flag that is set at once.
    TestSet(Flag, Expr),
    /// The old value of a page flag that is cleared at once.
    TestClear(Flag, Expr),
    /// Whether a lock could be taken at once.
    Try(LockRef, Mode),
    /// Whether a reference could be taken because there was one already.
    GetPageUnlessZero(Expr),
    /// Whether a folio's reference count could be frozen because this CPU holds the only reference.
    FreezeRefs(Expr),
    /// Whether the reference dropped was the last one.
    PutPage(Expr),
    /// Whether a split's own reference on a tail was the last one.
    PutSplitRef(Expr),
}

impl<T: Into<Expr>> From<T> for Cond {
    fn from(value: T) -> Cond {
        Cond::Local(value.into())
    }
}

/// `TestClearPage…(page)`: true if the flag was set.
pub fn test_clear(flag: Flag, page: impl Into<Expr>) -> Cond {
    Cond::TestClear(flag, page.into())
}

/// `TestSetPage…(page)`: true if the flag was set already.
pub fn test_set(flag: Flag, page: impl Into<Expr>) -> Cond {
    Cond::TestSet(flag, page.into())
}

/// `PageLocked(page)`.
pub fn page_locked(page: impl Into<Expr>) -> Source {
    Source::PageLocked(page.into())
}

/// A value in shared memory, as a condition.
pub fn read(source: Source) -> Cond {
    Cond::Load(source)
}

/// Taking a lock without waiting; true if it was taken.
pub fn trylock(class: Class, mode: Mode, index: impl Into<Expr>) -> Cond {
    Cond::Try(
        LockRef {
            class,
            index: index.into(),
        },
        mode,
    )
}

/// The assembler of one CPU's program.
#[derive(Debug)]
pub struct Asm<'w> {
    world: &'w World,
    program: Program,
    targets: Vec<Option<Pc>>,
    frames: Vec<(&'static str, &'static str)>,
    labels: BTreeMap<String, u32>,
}

impl<'w> Asm<'w> {
    /// An empty program for one CPU of `world`.
    pub fn new(world: &'w World) -> Self {
        Asm {
            world,
            program: Program::default(),
            targets: Vec::new(),
            frames: Vec::new(),
            labels: BTreeMap::new(),
        }
    }

    /// What the program will run on.
    pub fn world(&self) -> &'w World {
        self.world
    }

    /// The finished program, all jumps resolved.
    pub fn finish(mut self) -> Program {
        let targets = self.targets;
        let end = self.program.code.len() as Pc;
        for instr in &mut self.program.code {
            if let Some(pc) = instr.op.target_mut() {
                *pc = targets
                    .get(usize::from(*pc))
                    .copied()
                    .flatten()
                    .unwrap_or(end);
            }
        }
        self.program
    }

    /// Emits the body of a kernel function, under its name and the place it was read in.
    pub fn function<R>(
        &mut self,
        name: &'static str,
        cite: &'static str,
        body: impl FnOnce(&mut Self) -> R,
    ) -> R {
        self.frames.push((name, cite));
        let result = body(self);
        self.frames.pop();
        result
    }

    /// Declares a local variable; it holds 0 until it is set.
    pub fn local(&mut self, name: &str, kind: RegKind) -> Reg {
        self.program.regs.push(RegInfo {
            name: name.to_owned(),
            kind,
        });
        Reg((self.program.regs.len() - 1) as u16)
    }

    /// Assigns a local variable; takes no step.
    #[track_caller]
    pub fn set(&mut self, reg: Reg, value: impl Into<Expr>) {
        self.emit(Op::Set(reg, value.into()));
    }

    /// Emits one instruction.
    #[track_caller]
    pub fn emit(&mut self, op: Op) {
        let (function, cite) = self.frames.last().copied().unwrap_or(("", ""));
        let text = format!(
            "{function}: {}",
            render::static_text(&op, &self.program.regs)
        );
        let seen = self.labels.entry(text.clone()).or_insert(0);
        *seen += 1;
        let label = if *seen == 1 {
            text
        } else {
            format!("{text} #{seen}")
        };
        self.program.code.push(Instr {
            op,
            label,
            function: function.to_owned(),
            depth: self.frames.len().saturating_sub(1) as u8,
            cite: cite.to_owned(),
            at: Some(Location::caller()),
        });
    }

    /// Fetches a value from shared memory into a new local variable.
    #[track_caller]
    pub fn load(&mut self, name: &str, kind: RegKind, source: Source) -> Reg {
        let reg = self.local(name, kind);
        self.emit(Op::Load(reg, source));
        reg
    }

    /// `BUG_ON`: stops the run if `bad`, a condition on the value of `source`, is not 0.
    #[track_caller]
    pub fn bug_on(&mut self, source: Source, bad: impl FnOnce(Reg) -> Expr) {
        let kind = match source {
            Source::Pmd(..) | Source::PmdAt(..) => RegKind::Small,
            Source::NrPages(_) | Source::Mapcount(_) => RegKind::Count,
            _ => RegKind::Flag,
        };
        let reg = self.local("found", kind);
        self.emit(Op::BugOn(reg, source, bad(reg)));
    }

    /// Waits for a lock and takes it.
    #[track_caller]
    pub fn lock(&mut self, class: Class, mode: Mode, index: impl Into<Expr>) {
        self.emit(Op::Acquire(
            LockRef {
                class,
                index: index.into(),
            },
            mode,
        ));
    }

    /// Gives a lock back.
    #[track_caller]
    pub fn unlock(&mut self, class: Class, index: impl Into<Expr>) {
        self.emit(Op::Release(LockRef {
            class,
            index: index.into(),
        }));
    }

    /// Runs `then` if the condition holds.
    #[track_caller]
    pub fn if_(&mut self, cond: impl Into<Cond>, then: impl FnOnce(&mut Self)) {
        self.if_else(cond, then, |_| {});
    }

    /// Runs `then` if the condition holds and `otherwise` if not.
    #[track_caller]
    pub fn if_else(
        &mut self,
        cond: impl Into<Cond>,
        then: impl FnOnce(&mut Self),
        otherwise: impl FnOnce(&mut Self),
    ) {
        let no = self.target();
        let end = self.target();
        self.unless(cond.into(), no);
        then(self);
        self.goto(end);
        self.place(no);
        otherwise(self);
        self.place(end);
    }

    /// Runs `body` as long as the local condition holds.
    #[track_caller]
    pub fn while_(&mut self, cond: impl Into<Expr>, body: impl FnOnce(&mut Self)) {
        let again = self.target();
        let end = self.target();
        self.place(again);
        self.emit(Op::Branch(cond.into(), end.0));
        body(self);
        self.goto(again);
        self.place(end);
    }

    /// Runs `body` once, with a target that leaves it.
    pub fn block(&mut self, body: impl FnOnce(&mut Self, Target)) {
        let end = self.target();
        body(self, end);
        self.place(end);
    }

    /// Runs `body` again and again; it gets the targets that start over and leave.
    #[track_caller]
    pub fn loop_(&mut self, body: impl FnOnce(&mut Self, Target, Target)) {
        let again = self.target();
        let end = self.target();
        self.place(again);
        body(self, again, end);
        self.goto(again);
        self.place(end);
    }

    /// Goes on at a target.
    #[track_caller]
    pub fn goto(&mut self, target: Target) {
        self.emit(Op::Jump(target.0));
    }

    /// A target that is not placed yet.
    fn target(&mut self) -> Target {
        self.targets.push(None);
        Target((self.targets.len() - 1) as Pc)
    }

    /// Places a target before the next instruction.
    fn place(&mut self, target: Target) {
        let here = self.program.code.len() as Pc;
        if let Some(slot) = self.targets.get_mut(usize::from(target.0)) {
            *slot = Some(here);
        }
    }

    /// Goes on at `otherwise` unless the condition holds.
    #[track_caller]
    fn unless(&mut self, cond: Cond, otherwise: Target) {
        let value = match cond {
            Cond::Local(value) => value,
            Cond::Load(source) => self.load("found", RegKind::Flag, source).get(),
            Cond::TestSet(flag, page) => self.flag(|old| Op::TestSet(flag, page, old)),
            Cond::TestClear(flag, page) => self.flag(|old| Op::TestClear(flag, page, old)),
            Cond::PutPage(page) => self.flag(|last| Op::PutPage(page, last)),
            Cond::PutSplitRef(page) => self.flag(|last| Op::PutSplitRef(page, last)),
            Cond::Try(lock, mode) => return self.emit(Op::TryAcquire(lock, mode, otherwise.0)),
            Cond::FreezeRefs(page) => {
                let freeze = FolioOp::TryFreezeRefs(page, otherwise.0);
                return self.emit(Op::Folio(freeze));
            }
            Cond::GetPageUnlessZero(page) => {
                return self.emit(Op::GetPageUnlessZero(page, otherwise.0));
            }
        };
        self.emit(Op::Branch(value, otherwise.0));
    }

    /// Emits an instruction that answers yes or no into a new variable.
    #[track_caller]
    fn flag(&mut self, op: impl FnOnce(Reg) -> Op) -> Expr {
        let reg = self.local("was", RegKind::Flag);
        self.emit(op(reg));
        reg.get()
    }
}
