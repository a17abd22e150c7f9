//! What one instruction does.

use super::dataflow::{Facts, PageHold};
use super::layout::{Layout, LayoutError, Pages};
use super::lock::{Class, LockName, Mode, Scope};
use super::op::{Expr, Flag, LockRef, Op, Pc, Program, Reg, RegKind, Source};
use super::packed::Field;
use super::pagevec::Batch;
use super::state::State;
use super::twins;
use super::world::{Memory, MmMemory, Pmd, RegionKind, World};
use std::ops::RangeInclusive;

/// Programs on a world, ready to run.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) world: World,
    pub(super) programs: Vec<Program>,
    pub(super) facts: Vec<Facts>,
    pub(super) layout: Layout,
    /// Whether looking ahead along the programs is worth anything.
    pub(super) foresees: bool,
    /// Whether nobody but its holder gives up the lock of a page.
    pub(super) page_locks_stay: bool,
    /// For each CPU, the classes of locks that it waits for.
    pub(super) waited_for: Vec<u32>,
    /// CPUs that are alike.
    pub(super) twins: Vec<Vec<usize>>,
}

/// What became of one step of one CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It moved; the next state is filled in.
    Moved(Option<Event>),
    /// It waits.
    Blocked(Blocker),
    /// A check in the kernel failed, and the run ends here.
    Bug(Bug),
    /// It had no calls left.
    Halted,
}

/// Something that is wrong but does not end the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// `bad_page()`: a page was freed with `PG_mlocked` set.
    FreedMlocked,
}

/// The lock that a CPU waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The lock.
    pub lock: LockName,
    /// How it wants it.
    pub mode: Mode,
}

/// A failed check of the kernel, or of the model itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// A `BUG_ON` or `VM_BUG_ON` fired.
    BugOn,
    /// `hpage_nr_pages()` was asked about a tail.
    SizeOfTail,
    /// A lock was released that this CPU does not hold.
    NotHeld(LockName),
    /// A variable left the range that the layout has room for: a limit of the model.
    OutOfRange(String),
}

impl Machine {
    /// Prepares programs to run, with room in each state for an observer's variables: one that
    /// changes with each CPU's steps alone, then others.
    ///
    /// # Errors
    ///
    /// If the scenario needs a larger state than the layout can describe.
    pub fn new(
        world: World,
        programs: Vec<Program>,
        extra: &[RangeInclusive<i64>],
    ) -> Result<Machine, LayoutError> {
        let facts: Vec<Facts> = programs.iter().map(Facts::of).collect();
        let layout = Layout::new(&world, &programs, &facts, extra)?;
        Ok(Machine {
            foresees: Machine::can_foresee(&world, &programs),
            page_locks_stay: Machine::page_locks_stay(&programs),
            waited_for: Machine::waited_for(&programs),
            twins: twins::groups(&programs, &layout.cpus),
            world,
            programs,
            facts,
            layout,
        })
    }

    /// What the programs run on.
    #[inline]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The program of each CPU.
    #[inline]
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Words per state.
    pub fn words(&self) -> usize {
        self.layout.words
    }

    /// How many words of a state several CPUs change, or none; then, for each CPU, how many it alone
    /// changes.
    pub fn blocks(&self) -> &[usize] {
        &self.layout.blocks
    }

    /// The bits of a state in which an observer of the books can see a difference.
    pub fn observable(&self) -> Vec<u64> {
        self.layout.observable()
    }

    /// The observer's variables.
    #[inline]
    pub fn extra(&self) -> &[Field] {
        &self.layout.extra
    }

    /// Reads a state.
    #[inline]
    pub fn state<'a>(&'a self, words: &'a [u64]) -> State<'a> {
        State {
            machine: self,
            words,
        }
    }

    /// The state in which nothing has run yet.
    pub fn initial(&self, memory: &Memory) -> Vec<u64> {
        let mut next = Next {
            machine: self,
            words: vec![0; self.layout.words],
        };
        let layout = &self.layout;
        let cpu_fields = layout.cpus.iter().flat_map(|cpu| cpu.regs.iter().copied());
        for field in layout.extra.iter().copied().chain(cpu_fields) {
            next.zero(field);
        }
        let _fits = layout.nr_mlock.set(&mut next.words, memory.nr_mlock);
        for region in &self.world.regions {
            let mapped = memory.mms.iter().any(|mm| {
                mm.maps
                    .iter()
                    .any(|&r| self.world.regions.get(r) == Some(region))
            });
            for page in region.pages() {
                let tail = !region.is_head(page);
                let compound = !tail && region.folio_pages() > 1;
                let smaller = compound && region.folio_pages() < self.world.thp_pages;
                layout.tail.set(&mut next.words, page, tail);
                layout.rides.set(&mut next.words, page, tail);
                layout.compound.set(&mut next.words, page, compound);
                layout.folio.smaller.set(&mut next.words, page, smaller);
                let on_lru = mapped && !tail && region.kind != RegionKind::HugeZero;
                layout.lru.set(&mut next.words, page, on_lru);
            }
        }
        for &page in &memory.mlocked {
            layout.mlocked.set(&mut next.words, page, true);
            layout.folio.unevictable.set(&mut next.words, page, true);
            let locks = |mm: &&MmMemory| mm.locked.iter().any(|range| range.contains(&page));
            let lockers = memory.mms.iter().filter(locks).count() as i64;
            let _fits = layout.folio.set_count(&mut next.words, page, lockers);
        }
        for &(cpu, page) in &memory.lru_add {
            layout.lru.set(&mut next.words, page, false);
            next.set_batch((cpu.into(), Batch::LruAdd), page, true);
        }
        for (mm, of_mm) in memory.mms.iter().enumerate() {
            for &region in &of_mm.maps {
                let pmd = match self.world.regions[region].kind {
                    RegionKind::Thp | RegionKind::FileThp => Pmd::Huge,
                    RegionKind::Small | RegionKind::Large => Pmd::Table,
                    RegionKind::HugeZero => Pmd::HugeZero,
                };
                next.set_pmd(mm, region, pmd);
                for page in self.world.regions[region].pages() {
                    layout.pte[mm].set(&mut next.words, page, pmd == Pmd::Table);
                }
            }
            for page in of_mm.locked.iter().cloned().flatten() {
                layout.vm_locked[mm].set(&mut next.words, page, true);
            }
        }
        for cpu in 0..self.programs.len() {
            // The first instruction may be local work.
            let _in_range = next.settle(cpu, 0);
        }
        next.words
    }

    /// Lets `cpu` take one step from `state`; fills in `next` if it moved.
    pub fn step(&self, state: &[u64], cpu: usize, next: &mut Vec<u64>) -> Step {
        let before = self.state(state);
        let pc = before.pc(cpu);
        let Some(instr) = self.programs[cpu].code.get(usize::from(pc)) else {
            return Step::Halted;
        };
        let mut after = Next {
            machine: self,
            words: std::mem::take(next),
        };
        after.words.clear();
        after.words.extend_from_slice(state);
        let result = after.run(before, cpu, pc, &instr.op);
        *next = after.words;
        match result {
            Ok(event) => Step::Moved(event),
            Err(Stop::Wait(blocker)) => Step::Blocked(blocker),
            Err(Stop::Bug(bug)) => Step::Bug(bug),
        }
    }

    /// The value of an expression in the variables of `cpu`.
    pub fn eval(&self, state: &[u64], cpu: usize, expr: &Expr) -> i64 {
        let eval = |e| self.eval(state, cpu, e);
        match expr {
            Expr::Const(value) => *value,
            Expr::Reg(reg) => self.layout.cpus[cpu].regs[usize::from(reg.0)].get(state),
            Expr::Add(a, b) => eval(a) + eval(b),
            Expr::Sub(a, b) => eval(a) - eval(b),
            Expr::And(a, b) => eval(a) & eval(b),
            Expr::Not(a) => !eval(a),
            Expr::Eq(a, b) => i64::from(eval(a) == eval(b)),
            Expr::Lt(a, b) => i64::from(eval(a) < eval(b)),
            Expr::Unsigned32(a) => eval(a) & i64::from(u32::MAX),
            Expr::NextIn(vec, from) => {
                let none = i64::from(self.world.pages());
                let plane = self.state(state).pagevec(vec.of(cpu));
                plane.map_or(none, |p| p.next(state, eval(from) as u16).into())
            }
            Expr::CountIn(vec) => {
                let plane = self.state(state).pagevec(vec.of(cpu));
                plane.map_or(0, |p| p.count(state))
            }
            Expr::BatchLen => self.state(state).batch(cpu).count() as i64,
            Expr::BatchPage(i) => self.batch_entry(state, cpu, eval(i)).0,
            Expr::BatchKind(i) => self.batch_entry(state, cpu, eval(i)).1,
        }
    }

    /// The page of an entry of a CPU's batch, and what is to be done with it; past the end, past the
    /// last page.
    fn batch_entry(&self, state: &[u64], cpu: usize, i: i64) -> (i64, i64) {
        let entry = self.state(state).batch(cpu).nth(i.max(0) as usize);
        entry.map_or((self.world.pages().into(), 0), |(page, kind)| {
            (page.into(), kind)
        })
    }

    /// What a load would fetch, or nothing if it would be a bug.
    pub(super) fn peek(&self, state: &[u64], cpu: usize, source: &Source) -> Option<i64> {
        let next = Next {
            machine: self,
            words: state.to_vec(),
        };
        next.load(self.state(state), cpu, source).ok()
    }

    /// The lock that a reference means for `cpu` in `state`.
    pub fn lock_name(&self, state: &[u64], cpu: usize, lock: &LockRef) -> LockName {
        let index = self.eval(state, cpu, &lock.index) as u16;
        LockName {
            class: lock.class,
            // An area is the same whichever frames it maps.
            index: match lock.class.scope() {
                Scope::Region => self.world.address_of(index),
                _ => index,
            },
        }
    }
}

/// Why a step did not happen.
pub(super) enum Stop {
    Wait(Blocker),
    Bug(Bug),
}

pub(super) type Ran<T = Option<Event>> = Result<T, Stop>;

/// A state under construction.
pub(super) struct Next<'m> {
    pub(super) machine: &'m Machine,
    pub(super) words: Vec<u64>,
}

impl<'m> Next<'m> {
    /// Runs one instruction of `cpu` and the local work behind it.
    fn run(&mut self, before: State<'m>, cpu: usize, pc: Pc, op: &Op) -> Ran {
        let machine = self.machine;
        let layout = &machine.layout;
        let page = |e: &Expr| machine.eval(before.words, cpu, e) as u16;
        let mut to = pc + 1;
        let mut event = None;
        match op {
            Op::Set(..)
            | Op::Jump(_)
            | Op::Branch(..)
            | Op::VecAdd(..)
            | Op::VecTake(..)
            | Op::VecMove(..) => to = pc,
            Op::Enter(_) | Op::Leave(_) => {}

            Op::Acquire(lock, mode) => {
                let lock = machine.lock_name(before.words, cpu, lock);
                if before.blockers(lock, *mode).next().is_some() {
                    return Err(Stop::Wait(Blocker { lock, mode: *mode }));
                }
                self.take(cpu, lock, *mode)?;
            }
            Op::TryAcquire(lock, mode, otherwise) => {
                let lock = machine.lock_name(before.words, cpu, lock);
                if before.blockers(lock, *mode).next().is_some() {
                    to = *otherwise;
                } else {
                    self.take(cpu, lock, *mode)?;
                }
            }
            Op::Release(lock) => {
                let lock = machine.lock_name(before.words, cpu, lock);
                if before.holds(cpu, lock).is_none() {
                    return Err(Stop::Bug(Bug::NotHeld(lock)));
                }
                self.give_back(cpu, lock);
            }

            Op::ReleaseIfHeld(lock) => {
                let lock = machine.lock_name(before.words, cpu, lock);
                if before.holds(cpu, lock).is_some() {
                    self.give_back(cpu, lock);
                }
            }

            Op::GetPage(p) => self.hold(cpu, PageHold::Pin, page(p))?,
            Op::GetPageUnlessZero(p, otherwise) => {
                if before.referenced(page(p)) && !layout.folio.frozen.get(before.words, page(p)) {
                    self.hold(cpu, PageHold::Pin, page(p))?;
                } else {
                    to = *otherwise;
                }
            }
            Op::PutPage(p, last) => {
                self.let_go(cpu, PageHold::Pin, page(p));
                let gone = !self.state().referenced(page(p));
                self.set(cpu, *last, gone.into())?;
            }
            Op::PutSplitRef(p, last) => {
                layout.split_ref.set(&mut self.words, page(p), false);
                let gone = !self.state().referenced(page(p));
                self.set(cpu, *last, gone.into())?;
            }
            Op::Free(p) => {
                if layout.mlocked.get(before.words, page(p)) {
                    event = Some(Event::FreedMlocked);
                }
                self.free(before, page(p));
            }

            Op::Load(reg, source) => {
                let value = self.load(before, cpu, source)?;
                self.set(cpu, *reg, value)?;
            }
            Op::BugOn(reg, source, bad) => {
                let value = self.load(before, cpu, source)?;
                self.set(cpu, *reg, value)?;
                if machine.eval(&self.words, cpu, bad) != 0 {
                    return Err(Stop::Bug(Bug::BugOn));
                }
            }
            Op::TestSet(flag, p, old) => {
                self.set(cpu, *old, self.flag(*flag, page(p)).into())?;
                self.set_flag(*flag, page(p), true);
            }
            Op::TestClear(flag, p, old) => {
                self.set(cpu, *old, self.flag(*flag, page(p)).into())?;
                self.set_flag(*flag, page(p), false);
            }
            Op::SetFlag(flag, p) => self.set_flag(*flag, page(p), true),
            Op::ModNrMlock(delta) => {
                let sum = before.nr_mlock() + machine.eval(before.words, cpu, delta);
                if !layout.nr_mlock.set(&mut self.words, sum) {
                    return Err(Stop::Bug(Bug::OutOfRange("NR_MLOCK".to_owned())));
                }
            }

            Op::GetSplitRef(p) => layout.split_ref.set(&mut self.words, page(p), true),
            Op::ClearTailFlags(p) => {
                layout.tail.set(&mut self.words, page(p), false);
                layout.mlocked.set(&mut self.words, page(p), false);
                layout.lru.set(&mut self.words, page(p), false);
                for class in [Class::PageLock, Class::Compound] {
                    for other in 0..machine.programs.len() {
                        self.let_go(other, PageHold::Lock(class), page(p));
                    }
                }
            }
            Op::SetTailFlags(p, mlocked) => {
                let mlocked = machine.eval(before.words, cpu, mlocked) != 0;
                layout.mlocked.set(&mut self.words, page(p), mlocked);
                layout.lru.set(&mut self.words, page(p), true);
                layout.rides.set(&mut self.words, page(p), false);
            }
            Op::ClearCompound(p) => {
                for plane in [layout.compound, layout.folio.smaller] {
                    plane.set(&mut self.words, page(p), false);
                }
            }

            Op::SetPmd(mm, region, pmd) => self.set_pmd((*mm).into(), (*region).into(), *pmd),
            Op::FillTable(mm, region) => {
                let home = machine.world.home_of(*region);
                self.set_pmd((*mm).into(), (*region).into(), Pmd::None);
                self.set_pmd((*mm).into(), home.into(), Pmd::Table);
                self.fill_ptes(*mm, *region, |_| true);
            }
            Op::ClearPte(mm, p, last) => {
                layout.pte[usize::from(*mm)].set(&mut self.words, page(p), false);
                self.unmapped(cpu, page(p), *last)?;
            }
            Op::ClearHugePmd(mm, region, last) => {
                self.set_pmd((*mm).into(), (*region).into(), Pmd::None);
                let head = machine.world.regions[usize::from(*region)].start;
                self.unmapped(cpu, head, *last)?;
            }
            Op::CopyPmd(from, mm, region) => {
                let pmd = before.pmd(*from, (*region).into());
                self.set_pmd((*mm).into(), (*region).into(), pmd);
                let ptes = layout.pte[usize::from(*from)];
                self.fill_ptes(*mm, *region, |p| ptes.get(before.words, p));
                if let (Some(from), Some(to)) = (
                    layout.migration.get(usize::from(*from)),
                    layout.migration.get(usize::from(*mm)),
                ) {
                    for p in machine.world.regions[usize::from(*region)].pages() {
                        to.set(&mut self.words, p, from.get(before.words, p));
                    }
                }
                self.copy_entries(before, *from, *mm, *region);
            }
            Op::SetVmLocked(area, value) => {
                for p in area.pages.clone() {
                    layout.vm_locked[usize::from(area.mm)].set(&mut self.words, p, *value);
                }
            }

            Op::SetPte(mm, p) => {
                layout.pte[usize::from(*mm)].set(&mut self.words, page(p), true);
            }
            Op::PteToMigration(mm, p, last) => {
                layout.pte[usize::from(*mm)].set(&mut self.words, page(p), false);
                layout.migration[usize::from(*mm)].set(&mut self.words, page(p), true);
                self.unmapped(cpu, page(p), *last)?;
            }
            Op::MigrationToPte(mm, old, new) => {
                layout.migration[usize::from(*mm)].set(&mut self.words, page(old), false);
                layout.pte[usize::from(*mm)].set(&mut self.words, page(new), true);
            }
            Op::ClearMigration(mm, p) => {
                layout.migration[usize::from(*mm)].set(&mut self.words, page(p), false);
            }
            Op::MakeCompound(region) => {
                let frames = machine.world.regions[usize::from(*region)];
                for q in frames.pages() {
                    let tail = q > frames.start;
                    layout.tail.set(&mut self.words, q, tail);
                    layout.rides.set(&mut self.words, q, tail);
                    layout.compound.set(&mut self.words, q, !tail);
                }
            }
            Op::Folio(op) => self.folio(before, cpu, op, &mut to)?,
        }
        self.settle(cpu, to)?;
        Ok(event)
    }

    /// Runs local work from `pc` on, up to the next instruction that others can notice; then
    /// forgets every variable that is not needed any more.
    fn settle(&mut self, cpu: usize, mut pc: Pc) -> Ran<()> {
        let machine = self.machine;
        let code = &machine.programs[cpu].code;
        // Longer than any program: a loop without a step in it never gets further.
        for _ in 0..=code.len() * 4 + usize::from(machine.world.pages()) * 4 {
            match code.get(usize::from(pc)).map(|instr| &instr.op) {
                Some(Op::Set(reg, value)) => {
                    let value = machine.eval(&self.words, cpu, value);
                    self.set(cpu, *reg, value)?;
                    pc += 1;
                }
                Some(op @ (Op::VecAdd(..) | Op::VecTake(..) | Op::VecMove(..))) => {
                    self.pass_on(cpu, op)?;
                    pc += 1;
                }
                Some(Op::Jump(to)) => pc = *to,
                Some(Op::Branch(value, otherwise)) => {
                    let taken = machine.eval(&self.words, cpu, value) != 0;
                    pc = if taken { pc + 1 } else { *otherwise };
                }
                _ => {
                    let layout = &machine.layout.cpus[cpu];
                    for rest in &layout.rests[usize::from(pc)] {
                        let word = &mut self.words[rest.word];
                        *word = *word & rest.keep | rest.bits;
                    }
                    return Ok(());
                }
            }
        }
        Err(Stop::Bug(Bug::OutOfRange(
            "a loop that takes no step".to_owned(),
        )))
    }

    /// Moves a reference between this CPU and its page vectors.
    fn pass_on(&mut self, cpu: usize, op: &Op) -> Ran<()> {
        let machine = self.machine;
        match op {
            Op::VecAdd(vec, p) => {
                let page = machine.eval(&self.words, cpu, p) as u16;
                self.let_go(cpu, PageHold::Pin, page);
                self.set_batch(vec.of(cpu), page, true);
            }
            Op::VecTake(vec, p) => {
                let page = machine.eval(&self.words, cpu, p) as u16;
                self.set_batch(vec.of(cpu), page, false);
                self.hold(cpu, PageHold::Pin, page)?;
            }
            Op::VecMove(from, to, p) => {
                let page = machine.eval(&self.words, cpu, p) as u16;
                self.set_batch(from.of(cpu), page, false);
                self.set_batch(to.of(cpu), page, true);
            }
            _ => {}
        }
        Ok(())
    }

    fn set_batch(&mut self, batch: (usize, Batch), page: u16, value: bool) {
        if let Some(plane) = self.state().pagevec(batch) {
            plane.set(&mut self.words, page, value);
        }
    }

    fn load(&self, before: State<'m>, cpu: usize, source: &Source) -> Ran<i64> {
        let machine = self.machine;
        let layout = &machine.layout;
        let page = |e: &Expr| machine.eval(before.words, cpu, e) as u16;
        let pmd = |mm: u8, region: usize| before.pmd(mm, region) as i64;
        Ok(match source {
            Source::Flag(flag, p) => self.flag(*flag, page(p)).into(),
            Source::PageLocked(p) => {
                let lock = LockName {
                    class: Class::PageLock,
                    index: page(p),
                };
                before
                    .blockers(lock, Mode::Exclusive)
                    .next()
                    .is_some()
                    .into()
            }
            Source::PageCompound(p) => {
                let p = page(p);
                (layout.compound.get(before.words, p) || layout.tail.get(before.words, p)).into()
            }
            Source::NrPages(p) if layout.tail.get(before.words, page(p)) => {
                return Err(Stop::Bug(Bug::SizeOfTail));
            }
            Source::NrPages(p) => before.size(page(p)).into(),
            Source::Mapcount(p) => before.mapcount(page(p)),
            Source::Pmd(mm, region) => pmd(*mm, (*region).into()),
            Source::PmdAt(mm, p) => before.pmd_at(*mm, machine.world.address_of(page(p))) as i64,
            Source::PtePresent(mm, p) => {
                let pte = layout.pte[usize::from(*mm)];
                let mut frames = machine.world.frames_at(page(p));
                frames.any(|frame| pte.get(before.words, frame)).into()
            }
            Source::VmLocked(mm, p) => layout.vm_locked[usize::from(*mm)]
                .get(before.words, machine.world.address_of(page(p)))
                .into(),
            Source::VmLockedIn(area) => {
                let locked = layout.vm_locked[usize::from(area.mm)];
                area.pages
                    .clone()
                    .any(|p| locked.get(before.words, p))
                    .into()
            }
            Source::PageTransHuge(p) if layout.tail.get(before.words, page(p)) => {
                return Err(Stop::Bug(Bug::SizeOfTail));
            }
            Source::PageTransHuge(p) => layout.compound.get(before.words, page(p)).into(),
            Source::HasMapping(p) => (!layout.rides.get(before.words, page(p))).into(),
            Source::PteMaps(mm, p) => layout.pte[usize::from(*mm)]
                .get(before.words, page(p))
                .into(),
            Source::HeldElsewhere(p) => before.held_elsewhere(cpu, page(p)).into(),
            Source::PageAt(mm, p) => before.page_at(*mm, page(p)).into(),
            Source::MigrationAt(mm, p) => {
                let frame = before.migration_at(*mm, page(p));
                frame.map_or(0, |frame| i64::from(frame) + 1)
            }
            Source::Folio(source) => self.load_folio(before, cpu, source),
        })
    }

    fn flag(&self, flag: Flag, page: u16) -> bool {
        match flag {
            Flag::Mlocked => self.machine.layout.mlocked.get(&self.words, page),
            Flag::Lru => self.machine.layout.lru.get(&self.words, page),
            Flag::Unevictable => self.machine.layout.folio.unevictable.get(&self.words, page),
            Flag::DoubleMap => self.machine.layout.folio.double_map.get(&self.words, page),
        }
    }

    fn set_flag(&mut self, flag: Flag, page: u16, value: bool) {
        match flag {
            Flag::Mlocked => self
                .machine
                .layout
                .mlocked
                .set(&mut self.words, page, value),
            Flag::Lru => self.machine.layout.lru.set(&mut self.words, page, value),
            Flag::DoubleMap => {
                let plane = self.machine.layout.folio.double_map;
                plane.set(&mut self.words, page, value);
            }
            Flag::Unevictable => {
                let folio = &self.machine.layout.folio;
                folio.unevictable.set(&mut self.words, page, value);
                if !value {
                    // The word that holds the count links the page into a list again.
                    let _fits = folio.set_count(&mut self.words, page, 0);
                }
            }
        }
    }

    pub(super) fn set(&mut self, cpu: usize, reg: Reg, value: i64) -> Ran<()> {
        let info = &self.machine.programs[cpu].regs[usize::from(reg.0)];
        let field = self.machine.layout.cpus[cpu].regs[usize::from(reg.0)];
        if field.set(&mut self.words, value) && (info.kind != RegKind::Flag || value & !1 == 0) {
            return Ok(());
        }
        Err(Stop::Bug(Bug::OutOfRange(format!(
            "{} = {value}",
            info.name
        ))))
    }

    /// Sets a variable to 0, which every field has room for.
    fn zero(&mut self, field: Field) {
        let _fits = field.set(&mut self.words, 0);
    }

    pub(super) fn set_pmd(&mut self, mm: usize, region: usize, pmd: Pmd) {
        let _fits = self.machine.layout.pmd[mm][region].set(&mut self.words, pmd as i64);
    }

    /// Copies the migration entries of a region from one address space to another.
    fn copy_entries(&mut self, before: State<'m>, from: u8, mm: u8, region: u16) {
        let migration = &self.machine.layout.folio.migration;
        for page in self.machine.world.regions[usize::from(region)].pages() {
            let entry = migration[usize::from(from)].get(before.words, page);
            migration[usize::from(mm)].set(&mut self.words, page, entry);
        }
    }

    pub(super) fn fill_ptes(&mut self, mm: u8, region: u16, present: impl Fn(u16) -> bool) {
        for page in self.machine.world.regions[usize::from(region)].pages() {
            let plane = self.machine.layout.pte[usize::from(mm)];
            plane.set(&mut self.words, page, present(page));
        }
    }

    /// A mapping of `page` is gone: its reference passes to `cpu`, which learns if it was the last.
    fn unmapped(&mut self, cpu: usize, page: u16, last: Reg) -> Ran<()> {
        let gone = self.state().mapcount(page) == 0;
        self.set(cpu, last, gone.into())?;
        self.hold(cpu, PageHold::Pin, page)
    }

    /// Gives the folio of `page` back.
    fn free(&mut self, before: State<'_>, page: u16) {
        let layout = &self.machine.layout;
        for q in before.folio(page) {
            layout.free.set(&mut self.words, q, true);
            let shape = [layout.tail, layout.compound, layout.folio.smaller];
            let flags = [layout.mlocked, layout.folio.double_map];
            for plane in shape.into_iter().chain(flags) {
                plane.set(&mut self.words, q, false);
            }
            self.set_flag(Flag::Unevictable, q, false);
        }
    }

    fn take(&mut self, cpu: usize, lock: LockName, mode: Mode) -> Ran<()> {
        if lock.class.scope() == Scope::Page {
            return self.hold(cpu, PageHold::Lock(lock.class), lock.index);
        }
        self.set_lock(cpu, lock, if mode == Mode::Exclusive { 1 } else { 2 });
        Ok(())
    }

    fn give_back(&mut self, cpu: usize, lock: LockName) {
        if lock.class.scope() == Scope::Page {
            self.let_go(cpu, PageHold::Lock(lock.class), lock.index);
        } else {
            self.set_lock(cpu, lock, 0);
        }
    }

    fn set_lock(&mut self, cpu: usize, lock: LockName, value: i64) {
        for &(class, index, field) in &self.machine.layout.cpus[cpu].locks {
            if (class, index) == (lock.class, lock.index) {
                let _fits = field.set(&mut self.words, value);
            }
        }
    }

    /// Adds a page to those that a CPU holds in one way.
    pub(super) fn hold(&mut self, cpu: usize, hold: PageHold, page: u16) -> Ran<()> {
        let machine = self.machine;
        let mut all = machine.layout.cpus[cpu].pages.iter();
        let slots = match all.find(|(h, _)| *h == hold) {
            Some((_, Pages::Any(plane))) => {
                plane.set(&mut self.words, page, true);
                return Ok(());
            }
            Some((_, Pages::Few(slots))) => &slots[..],
            None => &[],
        };
        let free = slots.iter().find(|slot| slot.get(&self.words) == 0);
        if let Some(slot) = free
            && slot.set(&mut self.words, i64::from(page) + 1)
        {
            return Ok(());
        }
        Err(Stop::Bug(Bug::OutOfRange(format!(
            "{hold:?} of page {page}"
        ))))
    }

    /// Removes a page from those that a CPU holds in one way, if it is there once.
    fn let_go(&mut self, cpu: usize, hold: PageHold, page: u16) {
        let machine = self.machine;
        let mut all = machine.layout.cpus[cpu].pages.iter();
        let slots = match all.find(|(h, _)| *h == hold) {
            Some((_, Pages::Any(plane))) => return plane.set(&mut self.words, page, false),
            Some((_, Pages::Few(slots))) => slots,
            None => return,
        };
        let held = |slot: &Field| slot.get(&self.words) == i64::from(page) + 1;
        let Some(at) = slots.iter().rposition(held) else {
            return;
        };
        // The rest moves up, so that equal holdings are equal states.
        for (slot, next) in slots[at..].iter().zip(&slots[at + 1..]) {
            let value = next.get(&self.words);
            let _fits = slot.set(&mut self.words, value);
        }
        if let Some(last) = slots.last() {
            let _fits = last.set(&mut self.words, 0);
        }
    }

    pub(super) fn state(&self) -> State<'_> {
        self.machine.state(&self.words)
    }
}
