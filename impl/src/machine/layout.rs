//! Where each variable sits in a packed state: a row of 64-bit words, as few as the scenario needs.
//!
//! A [`Field`] is a number within one word; a [`Plane`] is one bit per base page, within one word if
//! it fits and in words of its own otherwise.
//! The layout is exact: two states are the same if and only if their words are.

use super::dataflow::{Facts, PageHold, most_held};
use super::folio::{FolioLayout, FolioOp};
use super::lock::{Class, Scope};
use super::op::{Op, Program, RegKind};
use super::world::World;

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

    /// Sets every bit of the field.
    fn fill(self, state: &mut [u64]) {
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
    /// The next instruction.
    pub(super) pc: Field,
    /// Each local variable; several may share a place.
    pub(super) regs: Vec<Field>,
    /// Each lock that is not per page: class, index, and 0 free, 1 exclusive, 2 shared.
    pub(super) locks: Vec<(Class, u16, Field)>,
    /// The pages held in each way: page + 1, or 0.
    pub(super) pages: Vec<(PageHold, Vec<Field>)>,
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
fn nr_range(world: &World, cpus: usize) -> i64 {
    // Each CPU can be wrong by the size of the memory for each call it makes; eight calls each is
    // far beyond what any scenario here does, and leaving the range stops the run with a message.
    i64::from(world.pages()) * (8 * cpus as i64 + 2)
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
        let nr = nr_range(world, programs.len());
        let nr_mlock = packer.field(-nr..=nr);
        let regions = world.regions.len();
        let pmd = (0..mms)
            .map(|_| (0..regions).map(|_| packer.field(0..=7)).collect())
            .collect();
        let folio = FolioLayout::new(&mut packer, world, programs);
        let cpus = programs
            .iter()
            .zip(facts)
            .map(|(p, f)| cpu_layout(&mut packer, world, p, f))
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
            pmd,
            folio,
            cpus,
            extra,
        })
    }
}

fn cpu_layout(packer: &mut Packer, world: &World, program: &Program, facts: &Facts) -> CpuLayout {
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
    let batches = |op: &Op| matches!(op, Op::Folio(FolioOp::BatchAdd(..)));
    let entries = if program.code.iter().any(|instr| batches(&instr.op)) {
        world.batch
    } else {
        0
    };
    let batch = (0..entries).map(|_| (packer.field(page.clone()), packer.field(0..=1)));
    CpuLayout {
        batch: batch.collect(),
        pc: packer.field(0..=program.code.len() as i64),
        regs: facts.slot.iter().map(|&slot| fields[slot]).collect(),
        locks,
        pages,
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
