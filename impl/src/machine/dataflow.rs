//! What is known of a program without running it: where jumps lead, which variables are still
//! needed, how many pages a CPU can hold at once, which call an instruction belongs to.
//!
//! Dead variables are zeroed at every step, so that two states differ only in what can still matter.

use super::folio::FolioOp;
use super::lock::{Class, Scope};
use super::op::{Expr, Op, Pc, Program, Reg, Source};
use fixedbitset::FixedBitSet;

impl Op {
    /// Where the instruction may go on other than at the next one.
    pub(super) fn target(&self) -> Option<Pc> {
        match self {
            Op::Jump(pc)
            | Op::Branch(_, pc)
            | Op::TryAcquire(_, _, pc)
            | Op::GetPageUnlessZero(_, pc)
            | Op::Folio(FolioOp::TryFreezeRefs(_, pc)) => Some(*pc),
            _ => None,
        }
    }

    pub(super) fn target_mut(&mut self) -> Option<&mut Pc> {
        match self {
            Op::Jump(pc)
            | Op::Branch(_, pc)
            | Op::TryAcquire(_, _, pc)
            | Op::GetPageUnlessZero(_, pc)
            | Op::Folio(FolioOp::TryFreezeRefs(_, pc)) => Some(pc),
            _ => None,
        }
    }

    /// Every place the instruction at `pc` may go on at.
    pub(super) fn successors(&self, pc: Pc) -> impl Iterator<Item = Pc> + use<> {
        let next = (!matches!(self, Op::Jump(_))).then_some(pc + 1);
        next.into_iter().chain(self.target())
    }

    /// The variables it reads.
    pub(super) fn uses(&self) -> Vec<Reg> {
        let mut out = Vec::new();
        match self {
            Op::Set(_, e)
            | Op::Branch(e, _)
            | Op::GetPage(e)
            | Op::GetPageUnlessZero(e, _)
            | Op::PutPage(e, _)
            | Op::PutSplitRef(e, _)
            | Op::Free(e)
            | Op::TestSet(_, e, _)
            | Op::TestClear(_, e, _)
            | Op::SetFlag(_, e)
            | Op::ModNrMlock(e)
            | Op::GetSplitRef(e)
            | Op::ClearTailFlags(e)
            | Op::ClearCompound(e)
            | Op::ClearPte(_, e, _)
            | Op::VecAdd(_, e)
            | Op::VecTake(_, e)
            | Op::VecMove(_, _, e)
            | Op::SetPte(_, e)
            | Op::ClearMigration(_, e)
            | Op::PteToMigration(_, e, _) => e.regs(&mut out),
            Op::Acquire(lock, _)
            | Op::TryAcquire(lock, _, _)
            | Op::Release(lock)
            | Op::ReleaseIfHeld(lock) => {
                lock.index.regs(&mut out);
            }
            Op::SetTailFlags(a, b) | Op::MigrationToPte(_, a, b) => {
                a.regs(&mut out);
                b.regs(&mut out);
            }
            Op::Load(_, source) => source.regs(&mut out),
            Op::Folio(op) => op.exprs().into_iter().for_each(|e| e.regs(&mut out)),
            Op::BugOn(found, source, bad) => {
                bad.regs(&mut out);
                out.retain(|reg| reg != found);
                source.regs(&mut out);
            }
            Op::Jump(_)
            | Op::Enter(_)
            | Op::Leave(_)
            | Op::SetPmd(..)
            | Op::FillTable(..)
            | Op::ClearHugePmd(..)
            | Op::CopyPmd(..)
            | Op::SetVmLocked(..)
            | Op::MakeCompound(_) => {}
        }
        out
    }

    /// The variable it sets.
    pub(super) fn defines(&self) -> Option<Reg> {
        match self {
            Op::Set(reg, _)
            | Op::Load(reg, _)
            | Op::BugOn(reg, ..)
            | Op::TestSet(_, _, reg)
            | Op::TestClear(_, _, reg)
            | Op::PutPage(_, reg)
            | Op::PutSplitRef(_, reg)
            | Op::ClearPte(_, _, reg)
            | Op::PteToMigration(_, _, reg)
            | Op::ClearHugePmd(_, _, reg) => Some(*reg),
            Op::Folio(op) => op.defines(),
            _ => None,
        }
    }

    /// The change in how many pages of `what` this CPU holds: if it goes on, and if it jumps.
    fn holding(&self, what: PageHold) -> (i32, i32) {
        match (what, self) {
            (PageHold::Lock(class), Op::Acquire(lock, _)) if lock.class == class => (1, 1),
            (PageHold::Lock(class), Op::TryAcquire(lock, ..)) if lock.class == class => (1, 0),
            (PageHold::Lock(class), Op::Release(lock) | Op::ReleaseIfHeld(lock))
                if lock.class == class =>
            {
                (-1, -1)
            }
            (
                PageHold::Pin,
                Op::GetPage(_)
                | Op::ClearPte(..)
                | Op::ClearHugePmd(..)
                | Op::PteToMigration(..)
                | Op::VecTake(..),
            ) => (1, 1),
            (PageHold::Pin, Op::GetPageUnlessZero(..)) => (1, 0),
            (PageHold::Pin, Op::PutPage(..) | Op::VecAdd(..)) => (-1, -1),
            (PageHold::Pin, Op::Folio(op)) if op.takes_reference() => (1, 1),
            _ => (0, 0),
        }
    }
}

impl Source {
    fn regs(&self, out: &mut Vec<Reg>) {
        match self {
            Source::Flag(_, e)
            | Source::PageLocked(e)
            | Source::PageCompound(e)
            | Source::NrPages(e)
            | Source::Mapcount(e)
            | Source::PmdAt(_, e)
            | Source::PtePresent(_, e)
            | Source::VmLocked(_, e)
            | Source::PageTransHuge(e)
            | Source::HasMapping(e)
            | Source::PageAt(_, e)
            | Source::PteMaps(_, e)
            | Source::HeldElsewhere(e)
            | Source::MigrationAt(_, e) => Expr::regs(e, out),
            Source::Pmd(..) | Source::VmLockedIn(_) => {}
            Source::Folio(source) => source.expr().into_iter().for_each(|e| e.regs(out)),
        }
    }
}

/// A way to hold a page that is kept with the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageHold {
    /// A per-page lock.
    Lock(Class),
    /// A reference.
    Pin,
}

impl PageHold {
    /// Every way there is.
    pub(super) fn all() -> impl Iterator<Item = PageHold> {
        let locks = Class::ALL.into_iter().filter(|c| c.scope() == Scope::Page);
        locks.map(PageHold::Lock).chain([PageHold::Pin])
    }
}

/// What each place of a program needs to know.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// For each instruction, and the end, the variables whose storage nobody needs any more.
    pub(super) dead: Vec<Vec<Reg>>,
    /// For each variable, a storage class: variables of one class are never needed together.
    pub(super) slot: Vec<usize>,
    /// For each instruction, and the end, the call it belongs to.
    pub(super) call: Vec<Option<u8>>,
    /// For each instruction, and the end, whether the call has done something on some way there.
    pub(super) begun: FixedBitSet,
    /// For each instruction, whether it leads to such a place from one that is none.
    pub(super) begins: FixedBitSet,
    /// For each instruction, and the end, whether something jumps there, so that ways may meet.
    pub(super) meets: FixedBitSet,
}

impl Facts {
    pub(super) fn of(program: &Program) -> Facts {
        let live = live(program);
        let slot = slots(program, &live);
        let begun = begun(program);
        let dead = live.iter().map(|here| dead(here, &slot)).collect();
        Facts {
            dead,
            slot,
            call: calls(program),
            begins: begins(program, &begun),
            begun,
            meets: program
                .code
                .iter()
                .filter_map(|instr| instr.op.target())
                .map(usize::from)
                .collect(),
        }
    }
}

/// More pages than this are held by loops only.
pub(super) const MOST_HELD: usize = 8;

/// How many pages a CPU holds in this way at most; none if a loop holds one after the other.
pub(super) fn most_held(program: &Program, what: PageHold) -> Option<usize> {
    let mut held: Vec<Option<i32>> = vec![None; program.code.len() + 1];
    let mut most = 0;
    let mut work = vec![(0 as Pc, 0)];
    while let Some((pc, count)) = work.pop() {
        let known = &mut held[usize::from(pc)];
        if known.is_some_and(|k| k >= count) {
            continue;
        }
        if count > MOST_HELD as i32 {
            return None;
        }
        *known = Some(count);
        most = most.max(count);
        if let Some(instr) = program.code.get(usize::from(pc)) {
            let (on, jump) = instr.op.holding(what);
            if !matches!(instr.op, Op::Jump(_)) {
                work.push((pc + 1, count + on));
            }
            work.extend(instr.op.target().map(|to| (to, count + jump)));
        }
    }
    Some(most.unsigned_abs() as usize)
}

/// For each instruction, and the end, the variables that are still needed.
fn live(program: &Program) -> Vec<FixedBitSet> {
    let (len, regs) = (program.code.len(), program.regs.len());
    let uses: Vec<Vec<Reg>> = program.code.iter().map(|instr| instr.op.uses()).collect();
    let mut live = vec![FixedBitSet::with_capacity(regs); len + 1];
    let mut here = FixedBitSet::with_capacity(regs);
    let mut changed = true;
    while changed {
        changed = false;
        for pc in (0..len).rev() {
            let op = &program.code[pc].op;
            here.clear();
            for to in op.successors(pc as Pc) {
                here.union_with(&live[usize::from(to)]);
            }
            if let Some(reg) = op.defines() {
                here.set(usize::from(reg.0), false);
            }
            for reg in &uses[pc] {
                here.insert(usize::from(reg.0));
            }
            if here != live[pc] {
                live[pc].clone_from(&here);
                changed = true;
            }
        }
    }
    live
}

/// Gives each variable the first storage class of its kind that no variable needed with it has.
fn slots(program: &Program, live: &[FixedBitSet]) -> Vec<usize> {
    let regs = program.regs.len();
    let mut together = vec![FixedBitSet::with_capacity(regs); regs];
    let mut here = FixedBitSet::with_capacity(regs);
    for (pc, instr) in program.code.iter().enumerate() {
        // A variable is in storage from the moment it is set, even if nobody reads it.
        here.clone_from(&live[pc + 1]);
        if let Some(reg) = instr.op.defines() {
            here.insert(usize::from(reg.0));
        }
        for a in here.ones() {
            together[a].union_with(&here);
        }
    }
    let mut slot: Vec<usize> = Vec::with_capacity(regs);
    for (reg, info) in program.regs.iter().enumerate() {
        let kind = info.kind;
        let clash = |s: usize| {
            (0..reg).any(|r| {
                slot[r] == s && (together[r].contains(reg) || program.regs[r].kind != kind)
            })
        };
        let free = (0..).find(|&s| !clash(s)).unwrap_or(reg);
        slot.push(free);
    }
    slot
}

/// One variable for each storage class that no living variable is in.
fn dead(live: &FixedBitSet, slot: &[usize]) -> Vec<Reg> {
    let mut done = FixedBitSet::with_capacity(slot.iter().max().map_or(0, |most| most + 1));
    done.extend(live.ones().map(|reg| slot[reg]));
    (0..slot.len())
        .filter(|&reg| !done.put(slot[reg]))
        .map(|reg| Reg(reg as u16))
        .collect()
}

/// The places that a call comes to when it has done more than to set local variables.
fn begun(program: &Program) -> FixedBitSet {
    let mut begun = FixedBitSet::with_capacity(program.code.len() + 1);
    let mut news = true;
    while news {
        news = false;
        for (pc, instr) in program.code.iter().enumerate() {
            let does = match instr.op {
                Op::Enter(_) | Op::Leave(_) => false,
                Op::Set(..) | Op::Jump(_) | Op::Branch(..) => begun.contains(pc),
                _ => true,
            };
            let reached = instr.op.successors(pc as Pc);
            for to in reached.into_iter().filter(|_| does) {
                news |= !begun.put(usize::from(to));
            }
        }
    }
    begun
}

/// The instructions behind which a call has done something, and before which it has not.
fn begins(program: &Program, begun: &FixedBitSet) -> FixedBitSet {
    let mut begins = FixedBitSet::with_capacity(program.code.len());
    let places = program.code.iter().enumerate();
    for (pc, instr) in places.filter(|(pc, _)| !begun.contains(*pc)) {
        // The step goes on through local work.
        let mut ahead: Vec<Pc> = instr.op.successors(pc as Pc).collect();
        let mut seen = FixedBitSet::with_capacity(program.code.len() + 1);
        while let Some(to) = ahead.pop() {
            if seen.put(usize::from(to)) {
                continue;
            }
            match program.code.get(usize::from(to)) {
                Some(next) if next.op.is_local() => ahead.extend(next.op.successors(to)),
                _ if begun.contains(usize::from(to)) => begins.insert(pc),
                _ => {}
            }
        }
    }
    begins
}

fn calls(program: &Program) -> Vec<Option<u8>> {
    let mut current = None;
    let mut calls = Vec::with_capacity(program.code.len() + 1);
    for instr in &program.code {
        calls.push(current);
        match instr.op {
            Op::Enter(call) => current = Some(call),
            Op::Leave(_) => current = None,
            _ => {}
        }
    }
    calls.push(None);
    calls
}
