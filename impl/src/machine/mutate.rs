//! Mutants: a program with one mistake in it, made mechanically from its instructions.
//!
//! A mistake is made wherever the line of the kernel function that it concerns was emitted: for every
//! address space, region and call alike.
//! What a mistake asks of an instruction is asked of its shape (takes a lock, sets a variable, names a
//! page), so instructions that come later are mutated too.
//!
//! # What this does not model
//!
//! Mistakes in two places at once, and mistakes in what a `BUG_ON` asserts: an assert only tells.

use super::lock::{Class, Kind, Mode, Scope};
use super::op::{Expr, Instr, Op, Pc, Program, RegInfo, RegKind};
use super::render;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mistake {
    /// A lock is not taken. Whoever gives it back gives nothing back.
    NoLock,
    /// A lock is taken one step too late.
    LateLock,
    /// A lock is given back one step too early.
    EarlyUnlock,
    /// A lock is taken for reading.
    SharedLock,
    /// A lock is tried, and whether that worked is not looked at.
    TriedLock,
    /// A lock that can only be tried is waited for.
    WaitedLock,
    /// Two neighbouring steps are taken in the other order.
    Swap,
    /// A step is not taken; what it would have found reads as 0.
    Skip,
    /// A condition is taken to hold.
    Always,
    /// A condition is taken not to hold.
    Never,
    /// An amount, an address or a mask is one more than it should be, a yes is a no.
    More,
    /// An amount, an address or a mask is one less than it should be.
    Less,
    /// An amount is accounted with the wrong sign.
    Negated,
    /// An amount is accounted twice.
    Twice,
    /// The next page is meant instead of the right one.
    NextPage,
    /// The head of the huge page is meant instead of the right one.
    HeadPage,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Mistake; 16] = [
        Mistake::NoLock,
        Mistake::LateLock,
        Mistake::EarlyUnlock,
        Mistake::SharedLock,
        Mistake::TriedLock,
        Mistake::WaitedLock,
        Mistake::Swap,
        Mistake::Skip,
        Mistake::Always,
        Mistake::Never,
        Mistake::More,
        Mistake::Less,
        Mistake::Negated,
        Mistake::Twice,
        Mistake::NextPage,
        Mistake::HeadPage,
    ];

    /// Whether it is about how and when a lock is taken or given back.
    pub fn is_about_a_lock(self) -> bool {
        matches!(
            self,
            Mistake::NoLock
                | Mistake::LateLock
                | Mistake::EarlyUnlock
                | Mistake::SharedLock
                | Mistake::TriedLock
                | Mistake::WaitedLock
        )
    }
}

/// Where in the kernel's functions a mistake is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Wherever the function takes a lock of this class.
    Lock(Class),
    /// In what this line emits.
    Line(&'static str, u32, u32),
}

/// One mistake in one kernel function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mutation {
    /// The function.
    pub function: String,
    /// The place in it.
    pub place: Place,
    /// The mistake.
    pub mistake: Mistake,
}

impl Program {
    /// Every mistake that can be made in this program, with its text.
    pub fn mutations(&self, thp_pages: u16) -> BTreeMap<Mutation, String> {
        let flow = Flow::of(self);
        let mut out: BTreeMap<Mutation, String> = BTreeMap::new();
        for (pc, instr) in self.code.iter().enumerate() {
            for mistake in Mistake::ALL {
                let mut edits = Edits::default();
                let Some(place) = place(instr, mistake) else {
                    continue;
                };
                if !flow.make(mistake, pc, thp_pages, &mut edits) {
                    continue;
                }
                let mutation = Mutation {
                    function: instr.function.clone(),
                    place,
                    mistake,
                };
                let text = flow.text(mistake, pc);
                let known = out.entry(mutation).or_insert_with(|| text.clone());
                *known = text.min(std::mem::take(known));
            }
        }
        out
    }

    /// The program with the mistake, wherever it can be made; nothing if it cannot be made at all.
    pub fn mutant(&self, mutation: &Mutation, thp_pages: u16) -> Option<Program> {
        let flow = Flow::of(self);
        let mut edits = Edits::default();
        let mut made = false;
        for (pc, instr) in self.code.iter().enumerate() {
            let here = instr.function == mutation.function
                && place(instr, mutation.mistake) == Some(mutation.place);
            made |= here && flow.make(mutation.mistake, pc, thp_pages, &mut edits);
        }
        made.then(|| edits.apply(self))
    }
}

/// The place that a mistake in this instruction is made at.
fn place(instr: &Instr, mistake: Mistake) -> Option<Place> {
    if mistake == Mistake::NoLock {
        return instr.op.takes().map(Place::Lock);
    }
    let line = |at: &'static Location<'static>| Place::Line(at.file(), at.line(), at.column());
    instr.at.map(line)
}

/// A program with the shared steps that come before and after each other.
struct Flow<'p> {
    program: &'p Program,
    /// For each instruction, the steps that may come next.
    next: Vec<BTreeSet<usize>>,
    /// For each instruction, the steps that may come just before it.
    before: Vec<BTreeSet<usize>>,
}

impl<'p> Flow<'p> {
    fn of(program: &'p Program) -> Flow<'p> {
        let count = program.code.len();
        let next: Vec<_> = (0..count).map(|pc| next_steps(program, pc)).collect();
        let mut before = vec![BTreeSet::new(); count + 1];
        for (pc, steps) in next.iter().enumerate() {
            if !program.code[pc].op.is_local() {
                for &to in steps {
                    before[to].insert(pc);
                }
            }
        }
        Flow {
            program,
            next,
            before,
        }
    }

    fn op(&self, pc: usize) -> Option<&'p Op> {
        self.program.code.get(pc).map(|instr| &instr.op)
    }

    /// The one step that comes next.
    fn only_next(&self, pc: usize) -> Option<usize> {
        let next = &self.next[pc];
        next.first().copied().filter(|_| next.len() == 1)
    }

    /// Makes the mistake at this instruction; false if it cannot be made here.
    fn make(&self, mistake: Mistake, pc: usize, thp_pages: u16, edits: &mut Edits) -> bool {
        let Some(op) = self.op(pc) else { return false };
        let on = pc as Pc + 1;
        let replaced = match (mistake, op) {
            (Mistake::NoLock, Op::Acquire(lock, _) | Op::TryAcquire(lock, ..)) => {
                edits.tolerant.insert(lock.class);
                Some(Op::Jump(on))
            }
            (Mistake::LateLock, Op::Acquire(..)) => return self.late(pc, op, edits),
            (Mistake::EarlyUnlock, Op::Release(lock)) => {
                return self.early(pc, &Op::ReleaseIfHeld(lock.clone()), edits);
            }
            (Mistake::SharedLock, Op::Acquire(lock, Mode::Exclusive)) => {
                let sharable =
                    lock.class.kind() == Kind::Sleeping && lock.class.scope() != Scope::Page;
                sharable.then(|| Op::Acquire(lock.clone(), Mode::Shared))
            }
            (Mistake::TriedLock, Op::Acquire(lock, mode)) => {
                edits.tolerant.insert(lock.class);
                Some(Op::TryAcquire(lock.clone(), *mode, on))
            }
            (Mistake::WaitedLock, Op::TryAcquire(lock, mode, _)) => {
                Some(Op::Acquire(lock.clone(), *mode))
            }
            (Mistake::Swap, _) => return self.swap(pc, edits),
            (Mistake::Skip, _) if is_plain(op) => Some(match op.defines() {
                Some(found) => Op::Set(found, 0.into()),
                None => Op::Jump(on),
            }),
            (Mistake::Skip, Op::GetPageUnlessZero(..)) => Some(Op::Jump(on)),
            (Mistake::Always, Op::Branch(..)) => Some(Op::Jump(on)),
            (Mistake::Never, Op::Branch(_, to)) => Some(Op::Jump(*to)),
            (Mistake::NextPage | Mistake::HeadPage, _) => wrong_page(op, mistake, thp_pages),
            _ => wrong_amount(op, mistake, &self.program.regs),
        };
        replaced.map(|op| edits.replaced.insert(pc, op)).is_some()
    }

    /// Takes the lock behind the step that comes next instead of before it.
    fn late(&self, pc: usize, acquire: &Op, edits: &mut Edits) -> bool {
        let next = &self.next[pc];
        let alone = |&s: &usize| self.before[s].len() == 1 && self.op(s).is_some_and(is_plain);
        if next.is_empty() || !next.iter().all(alone) {
            return false;
        }
        for &step in next {
            edits.behind.insert(step, acquire.clone());
        }
        edits.replaced.insert(pc, Op::Jump(pc as Pc + 1));
        true
    }

    /// Gives the lock back before the last steps under it instead of behind them.
    fn early(&self, pc: usize, release: &Op, edits: &mut Edits) -> bool {
        let last = |&&s: &&usize| self.next[s].len() == 1 && self.op(s).is_some_and(is_plain);
        let steps: Vec<usize> = self.before[pc].iter().filter(last).copied().collect();
        for &step in &steps {
            edits.ahead.insert(step, release.clone());
        }
        if !steps.is_empty() {
            edits.replaced.insert(pc, release.clone());
        }
        !steps.is_empty()
    }

    /// Takes the step that comes next first.
    fn swap(&self, pc: usize, edits: &mut Edits) -> bool {
        let Some((next, other)) = self.swappable(pc) else {
            return false;
        };
        edits.ahead.insert(pc, other.clone());
        edits.replaced.insert(next, Op::Jump(next as Pc + 1));
        true
    }

    /// The step that could as well be taken before this one.
    ///
    /// Two locks can be taken in the other order; of two other steps, the second must not need what
    /// the first finds, and may hang on it only if it does nothing but look.
    fn swappable(&self, pc: usize) -> Option<(usize, &'p Op)> {
        let op = self.op(pc)?;
        let fits = |&next: &usize| {
            let other = self.op(next)?;
            let in_a_row = next > pc && self.before[next].len() == 1;
            let sure = self.only_next(pc) == Some(next) || matches!(other, Op::Load(..));
            let both_lock = matches!((op, other), (Op::Acquire(..), Op::Acquire(..)));
            let both_look = matches!((op, other), (Op::Load(..), Op::Load(..)));
            let plain = is_plain(op) && is_plain(other) && !both_look;
            // What is found or computed up to the second would come too late for it.
            let needs = other.uses();
            let mut found = (pc..next).filter_map(|at| self.op(at)?.defines());
            let free = !found.any(|reg| needs.contains(&reg));
            (in_a_row && sure && free && (plain || both_lock)).then_some((next, other))
        };
        self.next[pc].iter().find_map(fits)
    }

    /// What the mistake reads like.
    fn text(&self, mistake: Mistake, pc: usize) -> String {
        let say = |pc: usize| {
            let op = self.op(pc);
            op.map_or(String::new(), |op| {
                render::static_text(op, &self.program.regs)
            })
        };
        let here = say(pc);
        let class = self.op(pc).and_then(Op::lock_class).map_or("", Class::name);
        let next = || self.next[pc].first().map_or(String::new(), |&s| say(s));
        let other = || self.swappable(pc).map_or(String::new(), |(s, _)| say(s));
        let last = || {
            let steps = self.before[pc].iter();
            let last = steps.filter(|&&s| self.next[s].len() == 1);
            last.map(|&s| say(s)).next().unwrap_or_default()
        };
        match mistake {
            Mistake::NoLock => format!("without {class}"),
            Mistake::LateLock => format!("{class} taken after `{}`", next()),
            Mistake::EarlyUnlock => format!("{class} dropped before `{}`", last()),
            Mistake::SharedLock => format!("{class} for reading: `{here}`"),
            Mistake::TriedLock => format!("{class} tried, result ignored: `{here}`"),
            Mistake::WaitedLock => format!("{class} waited for: `{here}`"),
            Mistake::Swap => format!("`{}` before `{here}`", other()),
            Mistake::Skip => format!("without `{here}`"),
            Mistake::Always => format!("as if `{}`", self.condition(pc, say)),
            Mistake::Never => format!("as if not `{}`", self.condition(pc, say)),
            Mistake::More => format!("`{here}`, one more or flipped"),
            Mistake::Less => format!("`{here}`, one less"),
            Mistake::Negated => format!("`{here}`, wrong sign"),
            Mistake::Twice => format!("`{here}`, twice"),
            Mistake::NextPage => format!("`{here}` of the next page"),
            Mistake::HeadPage => format!("`{here}` of the head"),
        }
    }

    /// What a branch asks: the step that the same line emitted before it, if there is one.
    fn condition(&self, pc: usize, say: impl Fn(usize) -> String) -> String {
        let line = |pc: usize| self.program.code.get(pc).map(|instr| instr.at);
        let asked = pc.checked_sub(1);
        let asked = asked.filter(|&p| line(p) == line(pc));
        asked.map_or_else(
            || say(pc).trim_start_matches("if ").to_owned(),
            |p| say(p).trim_start_matches("found = ").to_owned(),
        )
    }
}

/// The steps that may come after an instruction, with nothing but local work in between.
fn next_steps(program: &Program, pc: usize) -> BTreeSet<usize> {
    let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut work = vec![pc];
    while let Some(at) = work.pop() {
        let Some(instr) = program.code.get(at) else {
            found.insert(at);
            continue;
        };
        if at != pc && !instr.op.is_local() {
            found.insert(at);
        } else if seen.insert(at) {
            work.extend(instr.op.successors(at as Pc).map(usize::from));
        }
    }
    found
}

/// Whether a step is neither about locks nor about calls, asserts nothing, and always goes on with
/// the next instruction.
fn is_plain(op: &Op) -> bool {
    let special = matches!(op, Op::Enter(_) | Op::Leave(_) | Op::BugOn(..));
    !special && !op.is_local() && op.lock_class().is_none() && op.target().is_none()
}

fn wrong_page(op: &Op, mistake: Mistake, thp_pages: u16) -> Option<Op> {
    let mut wrong = op.clone();
    let page = wrong.page_mut()?;
    let right = std::mem::replace(page, 0.into());
    *page = match mistake {
        Mistake::NextPage => right + 1,
        _ if matches!(right, Expr::Const(_)) => return None,
        _ => right.clone() - (right & (thp_pages - 1)),
    };
    Some(wrong)
}

fn wrong_amount(op: &Op, mistake: Mistake, regs: &[RegInfo]) -> Option<Op> {
    let wrong = |right: &Expr| {
        let right = right.clone();
        Some(match mistake {
            Mistake::More => right + 1,
            Mistake::Less => right - 1,
            _ => return None,
        })
    };
    match op {
        Op::ModNrMlock(amount) => Some(Op::ModNrMlock(match mistake {
            Mistake::Negated => Expr::from(0) - amount.clone(),
            Mistake::Twice => amount.clone() + amount.clone(),
            _ => wrong(amount)?,
        })),
        Op::Set(reg, value) => match regs.get(usize::from(reg.0))?.kind {
            RegKind::Page | RegKind::Count => Some(Op::Set(*reg, wrong(value)?)),
            RegKind::Flag if mistake == Mistake::More => {
                Some(Op::Set(*reg, value.clone().is_zero()))
            }
            _ => None,
        },
        // The last page of a range, left out or visited too much.
        Op::Branch(Expr::Lt(a, b), to) => Some(Op::Branch(a.clone().less_than(wrong(b)?), *to)),
        _ => None,
    }
}

/// Changes to a program, by the number of the instruction that they are about.
#[derive(Default)]
struct Edits {
    replaced: BTreeMap<usize, Op>,
    /// In front of an instruction; whoever jumps to it comes here first.
    ahead: BTreeMap<usize, Op>,
    /// Behind an instruction; whoever jumps past it does not come here.
    behind: BTreeMap<usize, Op>,
    /// Classes that are given back only if they are held.
    tolerant: BTreeSet<Class>,
}

impl Edits {
    fn apply(&self, program: &Program) -> Program {
        let mut starts = Vec::with_capacity(program.code.len() + 1);
        let mut code = Vec::new();
        for (pc, instr) in program.code.iter().enumerate() {
            starts.push(code.len() as Pc);
            let moved = |op: &Op| Instr {
                op: op.clone(),
                label: format!("{} (moved)", instr.label),
                ..instr.clone()
            };
            code.extend(self.ahead.get(&pc).map(moved));
            let op = self.replaced.get(&pc).unwrap_or(&instr.op);
            code.push(Instr {
                op: self.tolerate(op),
                ..instr.clone()
            });
            code.extend(self.behind.get(&pc).map(moved));
        }
        starts.push(code.len() as Pc);
        for instr in &mut code {
            if let Some(to) = instr.op.target_mut() {
                *to = starts.get(usize::from(*to)).copied().unwrap_or(*to);
            }
        }
        Program {
            code,
            regs: program.regs.clone(),
        }
    }

    fn tolerate(&self, op: &Op) -> Op {
        match op {
            Op::Release(lock) if self.tolerant.contains(&lock.class) => {
                Op::ReleaseIfHeld(lock.clone())
            }
            op => op.clone(),
        }
    }
}
