//! Where each variable sits in a packed state: a row of 64-bit words, as few as the scenario needs.
//!
//! A [`Field`] is a number within one word; a [`Plane`] is one bit per base page, within one word if
//! it fits and in words of its own otherwise.
//! The layout is exact: two states are the same if and only if their words are.

use super::dataflow::{Facts, PageHold, most_held};
use super::folio::{FolioLayout, FolioOp};
use super::interval::Interval;
use super::lock::{Class, Scope};
use super::op::{Op, Program, RegKind};
use super::pagevec::Batch;
use super::world::World;
use std::collections::BTreeSet;

/// A signed number of fixed width within one word of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    word: u16,
    shift: u8,
    width: u8,
    min: i64,
}

impl Field {
    /// The value in `state`.
    #[inline]
    pub fn get(self, state: &[u64]) -> i64 {
        if self.width == 0 {
            return self.min;
        }
        ((state[usize::from(self.word)] >> self.shift) & self.mask()) as i64 + self.min
    }

    /// Stores a value; tells whether it fits.
    #[inline]
    #[must_use]
    pub fn set(self, state: &mut [u64], value: i64) -> bool {
        let raw = value.wrapping_sub(self.min) as u64;
        if raw > self.mask() {
            return false;
        }
        if self.width > 0 {
            let word = &mut state[usize::from(self.word)];
            *word = *word & !(self.mask() << self.shift) | raw << self.shift;
        }
        true
    }

    /// What fits into the field.
    pub(super) fn range(self) -> Interval {
        Interval {
            least: self.min,
            most: self.min.saturating_add_unsigned(self.mask()),
        }
    }

    /// Exchanges what is in this field and in another with the same range.
    pub fn exchange(self, other: Field, state: &mut [u64]) {
        let (mine, theirs) = (self.get(state), other.get(state));
        let _fit = self.set(state, theirs) && other.set(state, mine);
    }

    /// Sets every bit of the field.
    pub fn fill(self, state: &mut [u64]) {
        state[usize::from(self.word)] |= self.mask() << self.shift;
    }

    #[inline]
    fn mask(self) -> u64 {
        if self.width == 0 {
            0
        } else {
            u64::MAX >> (64 - self.width)
        }
    }
}

/// One bit per base page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    word: u16,
    shift: u8,
    pages: u16,
}

impl Plane {
    /// The bit of `page`; false past the end.
    #[inline]
    pub fn get(self, state: &[u64], page: u16) -> bool {
        if page >= self.pages {
            return false;
        }
        let (word, bit) = self.place(page);
        state[word] >> bit & 1 == 1
    }

    /// Stores the bit of `page`; nothing past the end.
    #[inline]
    pub fn set(self, state: &mut [u64], page: u16, value: bool) {
        if page < self.pages {
            let (word, bit) = self.place(page);
            state[word] = state[word] & !(1 << bit) | u64::from(value) << bit;
        }
    }

    /// The first page from `from` on whose bit is set; the number of pages if there is none.
    pub fn next(self, state: &[u64], from: u16) -> u16 {
        (from..self.pages)
            .find(|&page| self.get(state, page))
            .unwrap_or(self.pages)
    }

    /// How many bits are set.
    pub fn count(self, state: &[u64]) -> i64 {
        self.words(state)
            .map(|word| i64::from(word.count_ones()))
            .sum()
    }

    /// The bits, 64 pages a word, from page 0 on.
    pub fn words(self, state: &[u64]) -> impl Iterator<Item = u64> + '_ {
        let count = usize::from(self.pages).div_ceil(64);
        let mask = if self.pages >= 64 {
            u64::MAX
        } else {
            (1 << self.pages) - 1
        };
        let from = usize::from(self.word);
        state[from..from + count]
            .iter()
            .map(move |word| word >> self.shift & mask)
    }

    /// Whether the bits of all pages from `from` up to `to` are set.
    pub(super) fn all(self, state: &[u64], mut from: u16, to: u16) -> bool {
        let to = to.min(self.pages);
        while from < to {
            let (word, bit) = self.place(from);
            let count = (64 - bit).min(u32::from(to - from));
            if (state[word] >> bit).trailing_ones() < count {
                return false;
            }
            from += count as u16;
        }
        true
    }

    /// The first page from `from` on whose bit is not set; the number of pages if there is none.
    pub fn next_clear(self, state: &[u64], mut from: u16) -> u16 {
        while from < self.pages {
            let (word, bit) = self.place(from);
            let rest = !state[word] >> bit;
            if rest != 0 {
                return (from + rest.trailing_zeros() as u16).min(self.pages);
            }
            from += 64 - bit as u16;
        }
        self.pages
    }

    /// The last page up to `from` whose bit is not set; page 0 if there is none.
    pub(super) fn last_clear(self, state: &[u64], from: u16) -> u16 {
        let mut page = from.min(self.pages.saturating_sub(1));
        loop {
            let (word, bit) = self.place(page);
            let rest = !state[word] << (63 - bit);
            let run = rest.leading_zeros() as u16;
            if rest != 0 || u32::from(page) <= bit {
                return page.saturating_sub(run);
            }
            page -= bit as u16 + 1;
        }
    }

    /// Sets every bit of the plane.
    fn fill(self, state: &mut [u64]) {
        for page in 0..self.pages {
            self.set(state, page, true);
        }
    }

    #[inline]
    fn place(self, page: u16) -> (usize, u32) {
        let bit = u32::from(self.shift) + u32::from(page);
        (usize::from(self.word) + (bit / 64) as usize, bit % 64)
    }
}

/// Where a CPU's own variables are.
#[derive(Clone, Debug)]
pub(super) struct CpuLayout {
    /// The words that the next instruction and the local variables are in, each with their bits.
    pub(super) own: Vec<(usize, u64)>,
    /// The next instruction.
    pub(super) pc: Field,
    /// Each local variable; several may share a place.
    pub(super) regs: Vec<Field>,
    /// The places that local variables share.
    pub(super) slots: Vec<Field>,
    /// What may be in each of these places.
    pub(super) ranges: Vec<Interval>,
    /// Each lock that is not per page: class, index, and 0 free, 1 exclusive, 2 shared.
    pub(super) locks: Vec<(Class, u16, Field)>,
    /// The pages held in each way: page + 1, or 0.
    pub(super) pages: Vec<(PageHold, Vec<Field>)>,
    /// The page vectors in use.
    pub(super) batches: Vec<(Batch, Plane)>,
    /// The entries of the batch: page + 1, or 0, and what is to be done.
    pub(super) batch: Vec<(Field, Field)>,
}

/// The place of every variable.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Words per state.
    pub(super) words: usize,
    /// The statistic.
    pub(super) nr_mlock: Field,
    /// `PG_mlocked`.
    pub(super) mlocked: Plane,
    /// `PG_lru`.
    pub(super) lru: Plane,
    /// `PG_tail`.
    pub(super) tail: Plane,
    /// `PG_head`: the page's size is that of a huge page.
    pub(super) compound: Plane,
    /// Whether the page's flags are those of its head: a history variable of the abstraction.
    pub(super) rides: Plane,
    /// Whether a split holds a reference on the page.
    pub(super) split_ref: Plane,
    /// Whether the page is back with the allocator.
    pub(super) free: Plane,
    /// `VM_LOCKED`, per address space.
    pub(super) vm_locked: Vec<Plane>,
    /// Present ptes, per address space.
    pub(super) pte: Vec<Plane>,
    /// Migration entries, per address space, by the frame they stand for; none if nobody migrates.
    pub(super) migration: Vec<Plane>,
    /// Page-middle-directory entries, per address space and region.
    pub(super) pmd: Vec<Vec<Field>>,
    /// What the kernels since v4.5 need.
    pub(super) folio: FolioLayout,
    /// CPUs.
    pub(super) cpus: Vec<CpuLayout>,
    /// Variables of an observer.
    pub(super) extra: Vec<Field>,
}

/// A scenario too large for the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutError(pub(super) String);

impl std::fmt::Display for LayoutError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LayoutError {}

impl Layout {
    /// The bits of a state in which an observer of the books can see a difference: everything but
    /// locks, references and what the CPUs keep to themselves.
    pub(super) fn observable(&self) -> Vec<u64> {
        let mut mask = vec![0; self.words];
        let per_mm = self.vm_locked.iter().chain(&self.pte);
        let per_mm = per_mm.chain(&self.folio.migration);
        for plane in [self.mlocked, self.rides, self.free].iter().chain(per_mm) {
            plane.fill(&mut mask);
        }
        for field in self.pmd.iter().flatten().chain([&self.nr_mlock]) {
            field.fill(&mut mask);
        }
        mask
    }
}

/// The range of the statistic: `nr` fits if it stays within ± this many pages.
fn nr_range(world: &World, programs: &[Program]) -> i64 {
    // Each CPU can be wrong by the size of the memory for each call it makes; eight calls each is
    // far beyond what any scenario here does, and leaving the range stops the run with a message.
    let calls = 8 * programs.len() as i64 + 2;
    i64::from(world.pages()) * calls * widest(programs)
}

/// What one base page can at worst count for: 1, or 2³² where a program widens an unsigned amount.
pub fn widest(programs: &[Program]) -> i64 {
    let mut code = programs.iter().flat_map(|program| &program.code);
    let wide = code.any(|instr| matches!(&instr.op, Op::ModNrMlock(delta) if delta.is_wide()));
    if wide { 1 << 32 } else { 1 }
}

impl Layout {
    /// Lays out a scenario, with room for an observer's variables of the given ranges.
    pub(super) fn new(
        world: &World,
        programs: &[Program],
        facts: &[Facts],
        extra: &[std::ops::RangeInclusive<i64>],
    ) -> Result<Layout, LayoutError> {
        let mut packer = Packer::default();
        let pages = world.pages();
        let plane = |packer: &mut Packer| packer.plane(pages);
        let (mlocked, lru) = (plane(&mut packer), plane(&mut packer));
        let (tail, compound) = (plane(&mut packer), plane(&mut packer));
        let (rides, split_ref) = (plane(&mut packer), plane(&mut packer));
        let free = plane(&mut packer);
        let mms = usize::from(world.mms);
        let vm_locked = (0..mms).map(|_| packer.plane(pages)).collect();
        let pte = (0..mms).map(|_| packer.plane(pages)).collect();
        let migrates = |op: &Op| matches!(op, Op::PteToMigration(..));
        let code = || programs.iter().flat_map(|program| &program.code);
        let migration = if code().any(|instr| migrates(&instr.op)) {
            (0..mms).map(|_| packer.plane(pages)).collect()
        } else {
            Vec::new()
        };
        let nr = nr_range(world, programs);
        let nr_mlock = packer.field(-nr..=nr);
        let regions = world.regions.len();
        let pmd = (0..mms)
            .map(|_| (0..regions).map(|_| packer.field(0..=7)).collect())
            .collect();
        let folio = FolioLayout::new(&mut packer, world, programs);
        let cpus = programs
            .iter()
            .zip(facts)
            .enumerate()
            .map(|(cpu, (p, f))| {
                let batches = batches(cpu, world, programs);
                cpu_layout(&mut packer, world, p, f, batches)
            })
            .collect();
        let extra = extra
            .iter()
            .map(|range| packer.field(range.clone()))
            .collect();
        let words = packer.words();
        if words > usize::from(u16::MAX) {
            return Err(LayoutError(format!(
                "a state of {words} words is too large"
            )));
        }
        Ok(Layout {
            words,
            nr_mlock,
            mlocked,
            lru,
            tail,
            compound,
            rides,
            split_ref,
            free,
            vm_locked,
            pte,
            migration,
            pmd,
            folio,
            cpus,
            extra,
        })
    }
}

/// The page vectors of `cpu` that some program touches, or that start with pages in them.
fn batches(cpu: usize, world: &World, programs: &[Program]) -> BTreeSet<Batch> {
    let mut used = BTreeSet::new();
    for (who, program) in programs.iter().enumerate() {
        let vecs = program.code.iter().flat_map(|instr| instr.op.pagevecs());
        let mine = vecs.map(|vec| vec.of(who)).filter(|(of, _)| *of == cpu);
        used.extend(mine.map(|(_, batch)| batch));
    }
    if cpu < usize::from(world.lru_add_cpus) {
        used.insert(Batch::LruAdd);
    }
    used
}

fn cpu_layout(
    packer: &mut Packer,
    world: &World,
    program: &Program,
    facts: &Facts,
    batches: BTreeSet<Batch>,
) -> CpuLayout {
    let slots = facts.slot.iter().copied().max().map_or(0, |s| s + 1);
    let fields: Vec<Field> = (0..slots)
        .map(|slot| {
            let owner = facts.slot.iter().position(|&s| s == slot);
            packer.field(reg_range(
                world,
                owner.map_or(RegKind::Flag, |r| program.regs[r].kind),
            ))
        })
        .collect();
    let mut locks = Vec::new();
    for class in Class::ALL {
        let used = program.code.iter().any(|i| i.op.takes() == Some(class));
        let indices: Vec<u16> = match class.scope() {
            Scope::Page => Vec::new(),
            Scope::Global => vec![0],
            Scope::Mm => (0..u16::from(world.mms)).collect(),
            Scope::Region => world.regions.iter().map(|region| region.start).collect(),
        };
        let states = if matches!(class, Class::MmapSem | Class::AnonVma) {
            2
        } else {
            1
        };
        if used {
            locks.extend(
                indices
                    .into_iter()
                    .map(|i| (class, i, packer.field(0..=states))),
            );
        }
    }
    let page = 0..=i64::from(world.pages());
    let pages = PageHold::all()
        .map(|hold| {
            let count = most_held(program, hold);
            (
                hold,
                (0..count).map(|_| packer.field(page.clone())).collect(),
            )
        })
        .collect();
    let batches_mlock = |op: &Op| matches!(op, Op::Folio(FolioOp::BatchAdd(..)));
    let entries = if program.code.iter().any(|instr| batches_mlock(&instr.op)) {
        world.batch
    } else {
        0
    };
    let batch = (0..entries).map(|_| (packer.field(page.clone()), packer.field(0..=2)));
    let batch = batch.collect();
    let pc = packer.field(0..=program.code.len() as i64);
    let mut own = vec![0; packer.words()];
    for field in fields.iter().chain([&pc]) {
        field.fill(&mut own);
    }
    CpuLayout {
        own: own
            .into_iter()
            .enumerate()
            .filter(|(_, bits)| *bits != 0)
            .collect(),
        batch,
        pc,
        regs: facts.slot.iter().map(|&slot| fields[slot]).collect(),
        ranges: fields.iter().map(|field| field.range()).collect(),
        slots: fields,
        locks,
        pages,
        batches: batches
            .into_iter()
            .map(|batch| (batch, packer.plane(world.pages())))
            .collect(),
    }
}

/// The values a local variable may hold.
fn reg_range(world: &World, kind: RegKind) -> std::ops::RangeInclusive<i64> {
    let thp = i64::from(world.thp_pages);
    match kind {
        RegKind::Flag => 0..=1,
        RegKind::Small => 0..=7,
        RegKind::Page => 0..=i64::from(world.pages()) + thp + 1,
        RegKind::Count => -(thp + 1)..=thp + 1,
    }
}

/// Puts fields and planes into the first word with room.
#[derive(Default)]
pub(super) struct Packer {
    used: Vec<u8>,
}

impl Packer {
    fn field(&mut self, range: std::ops::RangeInclusive<i64>) -> Field {
        let span = range.end().abs_diff(*range.start());
        let width = (64 - span.leading_zeros()) as u8;
        let (word, shift) = self.room(width);
        Field {
            word,
            shift,
            width,
            min: *range.start(),
        }
    }

    pub(super) fn plane(&mut self, pages: u16) -> Plane {
        let (word, shift) = if pages == 0 {
            (0, 0)
        } else if pages <= 64 {
            self.room(pages as u8)
        } else {
            let word = self.used.len() as u16;
            self.used
                .extend(std::iter::repeat_n(64, usize::from(pages).div_ceil(64)));
            (word, 0)
        };
        Plane { word, shift, pages }
    }

    fn room(&mut self, width: u8) -> (u16, u8) {
        let word = self
            .used
            .iter()
            .position(|&used| used + width <= 64)
            .unwrap_or_else(|| {
                self.used.push(0);
                self.used.len() - 1
            });
        let shift = self.used[word];
        self.used[word] += width;
        (word as u16, if shift == 64 { 0 } else { shift })
    }

    fn words(&self) -> usize {
        self.used.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::TestResult;

    #[test]
    fn what_is_packed_is_unpacked_and_nothing_else_changes() {
        fn holds(fields: Vec<(i32, u16)>, planes: Vec<u16>, picks: Vec<(u8, u32)>) -> TestResult {
            let planes: Vec<u16> = planes.into_iter().map(|p| 1 + p % 200).take(4).collect();
            if fields.is_empty() || fields.len() > 20 {
                return TestResult::discard();
            }
            let mut packer = Packer::default();
            let placed: Vec<(Field, i64, i64)> = fields
                .iter()
                .map(|&(min, span)| {
                    let (min, max) = (i64::from(min), i64::from(min) + i64::from(span));
                    (packer.field(min..=max), min, max)
                })
                .collect();
            let bits: Vec<Plane> = planes.iter().map(|&pages| packer.plane(pages)).collect();
            let mut state = vec![0; packer.words()];
            let mut numbers: Vec<i64> =
                placed.iter().map(|(field, ..)| field.get(&state)).collect();
            let mut marks: Vec<Vec<bool>> = planes
                .iter()
                .map(|&pages| vec![false; usize::from(pages)])
                .collect();
            for (which, value) in picks {
                let which = usize::from(which) % (placed.len() + bits.len());
                if let Some((field, min, max)) = placed.get(which) {
                    let value = min + i64::from(value) % (max - min + 1);
                    assert!(field.set(&mut state, value));
                    numbers[which] = value;
                } else {
                    let which = which - placed.len();
                    let page = value as usize % marks[which].len();
                    bits[which].set(&mut state, page as u16, value % 3 > 0);
                    marks[which][page] = value % 3 > 0;
                }
            }
            let same = placed
                .iter()
                .zip(&numbers)
                .all(|((f, ..), n)| f.get(&state) == *n);
            let as_set = bits.iter().zip(&marks).all(|(plane, marks)| {
                (0..).zip(marks).all(|(page, mark)| {
                    let from = usize::from(page);
                    let next = marks[from..].iter().position(|mark| !mark);
                    let last = marks[..=from].iter().rposition(|mark| !mark);
                    plane.get(&state, page) == *mark
                        && plane.next_clear(&state, page)
                            == next.map_or(marks.len(), |n| from + n) as u16
                        && plane.last_clear(&state, page) == last.unwrap_or(0) as u16
                })
            });
            TestResult::from_bool(same && as_set)
        }
        quickcheck::quickcheck(
            holds as fn(Vec<(i32, u16)>, Vec<u16>, Vec<(u8, u32)>) -> TestResult,
        );
    }

    #[test]
    fn what_does_not_fit_is_told_and_changes_nothing() {
        fn holds(min: i32, span: u16, value: i64) -> bool {
            let mut packer = Packer::default();
            let field = packer.field(i64::from(min)..=i64::from(min) + i64::from(span));
            let mut state = vec![0; packer.words().max(1)];
            let before = field.get(&state);
            let fits = field.set(&mut state, value);
            field.get(&state) == if fits { value } else { before }
        }
        quickcheck::quickcheck(holds as fn(i32, u16, i64) -> bool);
    }
}
