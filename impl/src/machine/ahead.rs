//! Looking ahead: what others may still do before a CPU takes its next step, and whether that
//! interferes with it.
//!
//! From where a CPU stands, its program is run without memory: local variables start as what they
//! are, what is loaded into them may be anything, a branch on something unknown goes both ways, and
//! the footprints of all instructions on the way are joined.
//! Of each variable it is kept between which numbers it lies, and of each page vector and batch from
//! which page on it may hold any; where a loop moves a bound, that bound is given up, so that there is
//! an end to it.
//! (This is abstract interpretation over intervals, with widening at loops: Cousot and Cousot, 1977.)
//!
//! Where pages can change places (spare frames), or CPUs reach into each other's page vectors, nothing
//! is known ahead: everybody interferes with everybody.
//!
//! Locks stop the others sooner: nobody gets past the acquisition of a lock that the asking CPU holds for
//! writing, as long as it stands still.
//! Locks of pages count only where no split wipes them (up to v4.4 a split does).
//!
//! Two things are known to stay:
//!
//! * **Single pages.** Where no page of a region is a tail, none will be.
//! * **Entries.** What a page-middle-directory entry is now, it stays until somebody writes it.
//!   So the others are first run with all entries as they are; entries that one of them
//!   may write are then taken to be unknown, until no more are written.
//!   (By induction: the first of them to write a known entry would have got there with all known
//!   entries unchanged, and that was looked at.)
//!   So a munlock that would meet the entry of a split in progress is known to wait for it, and a page
//!   that is mapped is known not to lose its last reference.

use super::exec::Machine;
use super::folio::{FolioOp, FolioSource};
use super::footprint::{Access, Ground, Object, counted, folios_around, locks, within};
use super::interval::{Interval, Places};
use super::lock::{Class, Scope};
use super::op::{Expr, Instr, Op, Pc, Program, Source};
use super::pagevec::{Batch, Pagevec};
use super::world::{Pmd, World};
use rustc_hash::FxHashMap;

/// One thread's memory of what it found.
#[derive(Clone, Debug, Default)]
pub struct Ahead {
    /// For each question, the place of its answer.
    known: FxHashMap<Key, usize>,
    answers: Vec<Access>,
    ways: Ways,
}

/// Who asks, with which locks, and where there are single pages; the entries; the first pages of the
/// other's page vectors and batch; and where it stands, with its variables.
type Key = [u64; 4 + OWN];

/// Words of a CPU's variables that a key has room for; wider ones are looked up anew each time.
const OWN: usize = 4;

/// Most answers to keep before all are forgotten.
const MOST: usize = 1 << 16;

/// For each address space and region, four bits: an entry's state, [`FULL`] or [`UNKNOWN`].
type Entries = u64;
/// A table in which every pte is present.
const FULL: u64 = 14;
const UNKNOWN: u64 = 15;
/// Bits for an entry, and how many entries there is room for.
const BITS: usize = 4;
const ROOM: usize = 16;

/// Pages whose locks can be told apart in 16 bits.
const PAGES: u16 = 1 << 11;

fn locked_page(class: Class, page: u16) -> u64 {
    (class as u64) << 12 | u64::from(page) << 1 | 1
}

impl Machine {
    /// The CPUs that may do something before `cpu` takes its next step that makes a difference to
    /// that step, or it to them; a bit each.
    ///
    /// `seen` adds to a footprint what an observer looks at when it is taken in `state`: memory, that is,
    /// no locks and no counts.
    pub fn interferers(
        &self,
        state: &[u64],
        cpu: usize,
        ahead: &mut Ahead,
        seen: &dyn Fn(&[u64], Access) -> Access,
    ) -> u32 {
        if !self.foresees {
            return !(1 << cpu);
        }
        let next = self.programs[cpu]
            .code
            .get(usize::from(self.state(state).pc(cpu)));
        let Some(Instr { op, .. }) = next.filter(|instr| !instr.op.is_local()) else {
            return 0;
        };
        let mine = self.next_access(state, cpu, op);
        let here = self.state(state);
        let others = || {
            let all = 0..self.programs.len();
            all.filter(|&other| other != cpu && !here.halted(other))
        };
        if mine.is_none() || others().next().is_none() {
            return 0;
        }
        let mine = seen(state, mine);
        let meets_observer = mine.changes_memory();
        let mut entries = self.entries(state);
        loop {
            if ahead.answers.len() >= MOST {
                ahead.known.clear();
                ahead.answers.clear();
            }
            let mut less = entries;
            let mut meets = 0;
            for other in others() {
                let theirs = self.later(state, cpu, other, entries, ahead);
                less = self.forget(less, theirs);
                if less == entries
                    && (mine.conflicts(theirs)
                        || meets_observer && mine.conflicts(&seen(state, *theirs)))
                {
                    meets |= 1 << other;
                }
            }
            if less == entries {
                return meets;
            }
            entries = less;
        }
    }

    /// Whether looking ahead is worth anything on these programs.
    pub(super) fn can_foresee(world: &World, programs: &[Program]) -> bool {
        let mut ops = programs.iter().flat_map(|program| &program.code);
        let own = |vec: &Pagevec| matches!(vec, Pagevec::Own(_));
        !world.has_spares() && ops.all(|instr| instr.op.pagevecs().iter().all(own))
    }

    /// Whether nobody but its holder gives up the lock of a page.
    pub(super) fn page_locks_stay(programs: &[Program]) -> bool {
        let mut ops = programs.iter().flat_map(|program| &program.code);
        !ops.any(|instr| matches!(instr.op, Op::ClearTailFlags(_)))
    }

    /// The footprint of the instruction that `cpu` is at.
    fn next_access(&self, state: &[u64], cpu: usize, op: &Op) -> Access {
        let here = self.state(state);
        let known = |e: &Expr| Interval::only(self.eval(state, cpu, e));
        let mut access = Access::of(self.ground(state), op, &known);
        let mut counts = counted(op).map(|page| self.eval(state, cpu, page) as u16);
        if let Op::Folio(FolioOp::BatchPut(_)) = op
            && let Some((page, _)) = here.batch(cpu).next()
        {
            counts = Some(page);
        }
        if matches!(op, Op::Leave(_)) {
            return Access::NONE;
        }
        if self.facts[cpu].begins.contains(usize::from(here.pc(cpu))) {
            access.reads(Object::Rest, 0..=0);
        }
        let access = access.of_folios(&|page| here.folio(page));
        let unmapped = counts.is_some_and(|page| here.mapcount(page) == 0);
        if unmapped { access.uncounted() } else { access }
    }

    /// What `other` may do as long as `cpu` stands still, with entries as they are known.
    fn later<'a>(
        &self,
        state: &[u64],
        cpu: usize,
        other: usize,
        entries: Entries,
        ahead: &'a mut Ahead,
    ) -> &'a Access {
        let stops = self.waited_for[other];
        let held = self.held_for_writing(state, cpu, stops);
        let pages = self.locked_pages(state, cpu, stops);
        let own = &self.layout.cpus[other].own;
        let mut key = [0; 4 + OWN];
        let ground = self.ground(state);
        key[0] = u64::from(ground.single) << 48
            | (other as u64) << 40
            | (cpu as u64) << 32
            | u64::from(held);
        key[1] = entries;
        key[2] = pages;
        key[3] = self
            .firsts(state, other)
            .into_iter()
            .fold(0, |all, first| all << 16 | u64::from(first));
        for (place, &(word, bits)) in key[4..].iter_mut().zip(own) {
            *place = state[word] & bits;
        }
        if own.len() <= OWN
            && let Some(&place) = ahead.known.get(&key)
        {
            return &ahead.answers[place];
        }
        let look = Look {
            machine: self,
            cpu: other,
            stopper: cpu,
            held,
            pages,
            entries,
            ground,
        };
        let place = ahead.answers.len();
        let answer = look.from(state, &mut ahead.ways);
        ahead.answers.push(answer);
        if own.len() <= OWN {
            ahead.known.insert(key, place);
        }
        &ahead.answers[place]
    }

    /// For each program, the classes of locks that it waits for, a bit each.
    pub(super) fn waited_for(programs: &[Program]) -> Vec<u32> {
        let class = |op: &Op| match op {
            Op::Acquire(lock, _) => 1 << lock.class as u32,
            _ => 0,
        };
        let classes = |program: &Program| {
            let ops = program.code.iter().map(|instr| class(&instr.op));
            ops.fold(0, |all, one| all | one)
        };
        programs.iter().map(classes).collect()
    }

    /// The locks of some classes, other than those of pages, that a CPU holds for writing: a bit for
    /// each place in its list.
    fn held_for_writing(&self, state: &[u64], cpu: usize, classes: u32) -> u32 {
        let locks = self.layout.cpus[cpu].locks.iter().take(32).enumerate();
        let held = locks.filter(|(_, (class, _, field))| {
            classes & 1 << *class as u32 != 0 && field.get(state) == 1
        });
        held.fold(0, |all, (i, _)| all | 1 << i)
    }

    /// Up to four locks of pages, of some classes, that a CPU holds and nobody else can take from it, 16 bits each: the
    /// class and the page, and 1 so that none is 0.
    fn locked_pages(&self, state: &[u64], cpu: usize, classes: u32) -> u64 {
        if !self.page_locks_stay {
            return 0;
        }
        let held = self
            .state(state)
            .held(cpu)
            .filter(|lock| lock.class.scope() == Scope::Page);
        let held = held.filter(|lock| lock.index < PAGES && classes & 1 << lock.class as u32 != 0);
        held.take(4).fold(0, |all, lock| {
            all << 16 | locked_page(lock.class, lock.index)
        })
    }

    /// The world, and where there are single pages: once they are, they stay so.
    fn ground(&self, state: &[u64]) -> Ground<'_> {
        let tail = self.layout.tail;
        let regions = self
            .world
            .regions
            .iter()
            .take(u16::BITS as usize)
            .enumerate();
        let single = regions.filter(|(_, r)| tail.none(state, r.start, r.start + r.len));
        Ground {
            world: &self.world,
            single: single.fold(0, |all, (i, _)| all | 1 << i),
        }
    }

    /// The first page of each page vector of a CPU, then of its batch; past the last page if there is
    /// none.
    fn firsts(&self, state: &[u64], cpu: usize) -> [u16; Batch::ALL.len() + 1] {
        let none = self.world.pages();
        let mut firsts = [none; Batch::ALL.len() + 1];
        let layout = &self.layout.cpus[cpu];
        for &(batch, plane) in &layout.batches {
            firsts[batch as usize] = plane.next(state, 0);
        }
        let batch = self.state(state).batch(cpu).map(|(page, _)| page);
        firsts[Batch::ALL.len()] = batch.min().unwrap_or(none);
        firsts
    }

    fn entries(&self, state: &[u64]) -> Entries {
        let here = self.state(state);
        let mut entries = u64::MAX;
        for mm in 0..self.world.mms {
            for (region, pages) in self.world.regions.iter().enumerate() {
                let Some(shift) = self.place(mm, region) else {
                    continue;
                };
                let now = match here.pmd(mm, region) {
                    Pmd::Table if here.maps_all(mm, &pages.pages()) => FULL,
                    pmd => pmd as u64,
                };
                entries = entries & !(UNKNOWN << shift) | now << shift;
            }
        }
        entries
    }

    /// Where an entry is kept, if there is room for it.
    fn place(&self, mm: u8, region: usize) -> Option<usize> {
        let place = usize::from(mm) * self.world.regions.len() + region;
        (place < ROOM).then_some(place * BITS)
    }

    /// The entries, without those that are written.
    fn forget(&self, mut entries: Entries, access: &Access) -> Entries {
        for mm in 0..self.world.mms {
            let Some(written) = access.written(Object::Maps(mm)) else {
                continue;
            };
            for (i, region) in self.world.regions.iter().enumerate() {
                let pages = region.pages();
                if *written.start() < pages.end
                    && pages.start <= *written.end()
                    && let Some(shift) = self.place(mm, i)
                {
                    entries |= UNKNOWN << shift;
                }
            }
        }
        entries
    }
}

/// One look ahead along the program of a CPU.
struct Look<'m> {
    machine: &'m Machine,
    cpu: usize,
    /// Who stands still, and what it holds.
    stopper: usize,
    held: u32,
    pages: u64,
    entries: Entries,
    ground: Ground<'m>,
}

impl Look<'_> {
    fn from(&self, state: &[u64], ways: &mut Ways) -> Access {
        let machine = self.machine;
        let code = &machine.programs[self.cpu].code;
        let slots = &machine.layout.cpus[self.cpu].slots;
        let pages = i64::from(machine.world.pages());
        let places = Places {
            slot: &machine.facts[self.cpu].slot,
            range: &machine.layout.cpus[self.cpu].ranges,
            firsts: slots.len(),
            pages,
        };
        let now = slots.iter().map(|slot| Interval::only(slot.get(state)));
        let firsts = machine.firsts(state, self.cpu).into_iter();
        let now = now.chain(firsts.map(|first| Interval {
            least: first.into(),
            most: pages,
        }));
        ways.begin(machine.state(state).pc(self.cpu), code.len(), now);
        let mut all = Access::NONE;
        while let Some(mut pc) = ways.next() {
            // What is known behind a place matters to others only where ways meet.
            while self.pass(pc, &mut all, ways, &places) {
                pc += 1;
            }
        }
        all
    }

    /// Takes the instruction at `pc`, with what is known there in `ways.env`; tells whether to go on
    /// with the next one, which no other way leads to.
    fn pass(&self, pc: Pc, all: &mut Access, ways: &mut Ways, places: &Places<'_>) -> bool {
        let machine = self.machine;
        let code = &machine.programs[self.cpu].code;
        let Some(op) = code.get(usize::from(pc)).map(|instr| &instr.op) else {
            return false;
        };
        let known = |e: &Expr| places.value(e, &ways.env);
        if let Op::Acquire(lock, _) = op
            && self.stops(lock.class, locks(self.ground, lock, &known))
        {
            return false;
        }
        if !op.is_local() {
            all.join(&Access::of(self.ground, op, &known));
        }
        let defined = op.defines().map(|reg| {
            let now = self.defined(op, &known);
            (reg, now.unwrap_or_else(|| places.anything(reg)))
        });
        let cond = match op {
            Op::Branch(cond, _) => Some((cond, known(cond))),
            _ => None,
        };
        let mut goes_on = false;
        // The next one last, since it may go on with what is known here.
        let next = (!matches!(op, Op::Jump(_))).then_some(pc + 1);
        for to in op.target().into_iter().chain(next) {
            let holds = to == pc + 1;
            if let Some((_, value)) = cond {
                let may = if holds {
                    value != Interval::only(0)
                } else {
                    value.least <= 0 && value.most >= 0
                };
                if !may {
                    continue;
                }
            }
            goes_on = holds && !machine.facts[self.cpu].meets.contains(usize::from(to));
            if !goes_on {
                ways.after.clone_from(&ways.env);
            }
            let after = if goes_on {
                &mut ways.env
            } else {
                &mut ways.after
            };
            if let Some((cond, _)) = cond {
                places.learn(cond, holds, after);
            }
            places.collect(after, op);
            if let Some((reg, now)) = defined {
                places.set(after, reg, now);
            }
            if !goes_on {
                ways.lead(to, to <= pc, places.range);
            }
        }
        goes_on
    }

    /// Whether the standing CPU holds all locks of a class that are meant.
    fn stops(&self, class: Class, meant: std::ops::RangeInclusive<u16>) -> bool {
        if class.scope() == Scope::Page {
            let lock = locked_page(class, *meant.start());
            return meant.start() == meant.end()
                && *meant.start() < PAGES
                && (0..4).any(|i| self.pages >> (16 * i) & 0xffff == lock);
        }
        let locks = self.machine.layout.cpus[self.stopper]
            .locks
            .iter()
            .take(32)
            .enumerate();
        meant.start() == meant.end()
            && locks
                .filter(|(i, _)| self.held & 1 << i != 0)
                .any(|(_, &(c, index, _))| (c, index) == (class, *meant.start()))
    }

    /// What an instruction finds or computes, as far as it is known.
    fn defined(&self, op: &Op, known: &dyn Fn(&Expr) -> Interval) -> Option<Interval> {
        let world = &self.machine.world;
        let region_of = |page: &Expr| match &world.regions[..] {
            [_] => Some(0),
            _ => {
                let pages = known(page);
                let (least, most) = (
                    world.region_of(pages.least as u16),
                    world.region_of(pages.most as u16),
                );
                (pages.least >= 0 && least == most).then_some(least)
            }
        };
        match op {
            Op::Set(_, e) => Some(known(e)),
            Op::Load(_, source) | Op::BugOn(_, source, _) => match source {
                Source::Pmd(mm, region) => self.entry(*mm, usize::from(*region)),
                Source::PmdAt(mm, page) => self.entry(*mm, region_of(page)?),
                Source::PtePresent(mm, page) => {
                    (self.raw(*mm, region_of(page)?)? == FULL).then_some(Interval::only(1))
                }
                // A head is no further up than its page.
                Source::Folio(FolioSource::Head(page)) => {
                    let at = within(known(page), world.pages());
                    Some(Interval {
                        least: i64::from(*folios_around(self.ground, at.clone()).start()),
                        most: i64::from(*at.end()),
                    })
                }
                _ => None,
            },
            Op::PutPage(page, _) | Op::PutSplitRef(page, _) => {
                let region = region_of(page)?;
                let mapped = (0..world.mms)
                    .filter_map(|mm| self.raw(mm, region))
                    .any(|entry| [Pmd::Huge as u64, Pmd::Splitting as u64, FULL].contains(&entry));
                mapped.then_some(Interval::only(0))
            }
            _ => None,
        }
    }

    /// An entry, if it is known.
    fn raw(&self, mm: u8, region: usize) -> Option<u64> {
        let entry = self.entries >> self.machine.place(mm, region)? & UNKNOWN;
        (entry != UNKNOWN).then_some(entry)
    }

    fn entry(&self, mm: u8, region: usize) -> Option<Interval> {
        let entry = match self.raw(mm, region)? {
            FULL => Pmd::Table as u64,
            entry => entry,
        };
        Some(Interval::only(entry as i64))
    }
}

/// What is known at each place of a program on the ways that lead there, and where to go on.
#[derive(Clone, Debug, Default)]
struct Ways {
    /// Number of variables.
    slots: usize,
    /// For each place, what is known of each variable.
    at: Vec<Interval>,
    /// Places that some way leads to.
    seen: Vec<bool>,
    /// Places at which there is news, the first of them at or behind `first`.
    news: Vec<bool>,
    first: usize,
    /// What is known where the look is at, and behind it.
    env: Vec<Interval>,
    after: Vec<Interval>,
}

impl Ways {
    /// Starts at a place, with what is known there.
    fn begin(&mut self, pc: Pc, len: usize, now: impl Iterator<Item = Interval>) {
        self.after.clear();
        self.after.extend(now);
        self.slots = self.after.len();
        // What is there from before is overwritten by whoever comes to a place first.
        let room = self.at.len().max((len + 1) * self.slots);
        self.at.resize(room, Interval::only(0));
        for marks in [&mut self.seen, &mut self.news] {
            marks.clear();
            marks.resize(len + 1, false);
        }
        self.first = usize::from(pc);
        self.lead(pc, false, &[]);
    }

    /// The next place at which there is news, which goes into `env`.
    fn next(&mut self) -> Option<Pc> {
        let at = self.first + self.news.get(self.first..)?.iter().position(|news| *news)?;
        self.first = at + 1;
        self.news[at] = false;
        self.env.clear();
        self.env
            .extend_from_slice(&self.at[at * self.slots..][..self.slots]);
        Some(at as Pc)
    }

    /// Joins `after` with what is known at a place; where a loop moves a bound, the bound is what a
    /// variable can hold at all.
    fn lead(&mut self, to: Pc, loops: bool, range: &[Interval]) {
        let to = usize::from(to);
        let here = &mut self.at[to * self.slots..][..self.slots];
        let mut news = !self.seen[to];
        if news {
            here.copy_from_slice(&self.after);
        } else {
            for ((old, new), range) in here.iter_mut().zip(&self.after).zip(range) {
                let mut both = old.join(*new);
                if loops && both.least < old.least {
                    both.least = range.least;
                }
                if loops && both.most > old.most {
                    both.most = range.most;
                }
                news |= both != *old;
                *old = both;
            }
        }
        if news {
            self.seen[to] = true;
            self.news[to] = true;
            self.first = self.first.min(to);
        }
    }
}
