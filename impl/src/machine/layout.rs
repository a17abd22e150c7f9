//! Where each variable sits in a packed state: a row of 64-bit words, as few as the scenario needs.
//!
//! The layout is exact: two states are the same if and only if their words are.
//! What one CPU alone changes, be it its own or in shared memory, is kept apart from the rest: those
//! words take few values, whatever the others do.

use super::dataflow::{Facts, MOST_HELD, PageHold, most_held};
use super::folio::{FolioLayout, FolioOp};
use super::footprint::{Access, Ground, Object};
use super::interval::Interval;
use super::lock::{Class, Scope};
use super::op::{Flag, Op, Program, Reg, RegKind};
use super::packed::{Field, Packer, Plane};
use super::pagevec::Batch;
use super::world::World;
use std::collections::{BTreeMap, BTreeSet};

/// A word to store in, what to keep of it, and what to store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    pub(super) word: usize,
    pub(super) keep: u64,
    pub(super) bits: u64,
}

/// Where a CPU's own variables are.
#[derive(Clone, Debug)]
pub(super) struct CpuLayout {
    /// The words that the next instruction and the local variables are in, each with their bits.
    pub(super) own: Vec<(usize, u64)>,
    /// For each instruction, what to store when a step ends there: its number, and 0 in all local
    /// variables that are not needed from there on.
    pub(super) rests: Vec<Vec<Rest>>,
    /// The next instruction.
    pub(super) pc: Field,
    /// Each local variable; several may share a place.
    pub(super) regs: Vec<Field>,
    /// The places that local variables share.
    pub(super) slots: Vec<Field>,
    /// What may be in each of these places; then the pages of each page vector, and of the batch.
    pub(super) ranges: Vec<Interval>,
    /// Each lock that is not per page: class, index, and 0 free, 1 exclusive, 2 shared.
    pub(super) locks: Vec<(Class, u16, Field)>,
    /// The pages held in each way.
    pub(super) pages: Vec<(PageHold, Pages)>,
    /// The page vectors in use.
    pub(super) batches: Vec<(Batch, Plane)>,
    /// The entries of the batch: page + 1, or 0, and what is to be done.
    pub(super) batch: Vec<(Field, Field)>,
}

/// The pages that a CPU holds in one way.
#[derive(Clone, Debug)]
pub(super) enum Pages {
    /// No more than a few: page + 1, or 0, each.
    Few(Vec<Field>),
    /// Any, each once: whether it is held.
    Any(Plane),
}

/// The place of every variable.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Words per state.
    pub(super) words: usize,
    /// How many words several CPUs change, or none; then how many each CPU alone changes.
    pub(super) blocks: Vec<usize>,
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
    /// Lays out a scenario, with room for an observer's variables of the given ranges: one that
    /// changes with each CPU's steps alone, then others.
    pub(super) fn new(
        world: &World,
        programs: &[Program],
        facts: &[Facts],
        extra: &[std::ops::RangeInclusive<i64>],
    ) -> Result<Layout, LayoutError> {
        let changed = Changed::by(world, programs);
        let mut packer = Packer::new(programs.len());
        Layout::pack(&mut packer, world, programs, facts, extra, &changed);
        packer.again();
        let words = packer.words();
        if words > usize::from(u16::MAX) {
            return Err(LayoutError(format!(
                "a state of {words} words is too large"
            )));
        }
        Ok(Layout::pack(
            &mut packer,
            world,
            programs,
            facts,
            extra,
            &changed,
        ))
    }

    fn pack(
        packer: &mut Packer,
        world: &World,
        programs: &[Program],
        facts: &[Facts],
        extra: &[std::ops::RangeInclusive<i64>],
        changed: &Changed<'_>,
    ) -> Layout {
        let pages = world.pages();
        let mut plane = |object| packer.of(changed.alone(object)).plane(pages);
        let (mlocked, lru) = (plane(Flag::Mlocked.into()), plane(Flag::Lru.into()));
        let (tail, compound) = (plane(Object::Shape), plane(Object::Shape));
        let (rides, free) = (plane(Object::Rides), plane(Object::Free));
        let vm_locked = (0..world.mms).map(|mm| plane(Object::VmLocked(mm)));
        let vm_locked = vm_locked.collect();
        let pte = (0..world.mms).map(|mm| plane(Object::Maps(mm))).collect();
        let migrates = |op: &Op| matches!(op, Op::PteToMigration(..));
        let mut code = programs.iter().flat_map(|program| &program.code);
        let migration = if code.any(|instr| migrates(&instr.op)) {
            (0..world.mms).map(|mm| plane(Object::Maps(mm))).collect()
        } else {
            Vec::new()
        };
        let split_ref = packer.of(changed.by_ops(|op| {
            let splits = |op: &FolioOp| matches!(op, FolioOp::SplitTail(..));
            matches!(op, Op::GetSplitRef(_) | Op::PutSplitRef(..))
                || matches!(op, Op::Folio(op) if splits(op))
        }));
        let split_ref = split_ref.plane(pages);
        let nr = nr_range(world, programs);
        let nr_mlock = packer.of(changed.alone(Object::Statistic)).field(-nr..=nr);
        let pmd = (0..world.mms).map(|mm| {
            let packer = packer.of(changed.alone(Object::Maps(mm)));
            world.regions.iter().map(|_| packer.field(0..=7)).collect()
        });
        let pmd = pmd.collect();
        let folio = FolioLayout::new(packer, world, changed);
        let cpus = programs.iter().zip(facts).enumerate().map(|(cpu, (p, f))| {
            let batches = batches(cpu, world, programs);
            cpu_layout(packer, cpu, world, p, f, batches)
        });
        let cpus = cpus.collect();
        let extra = extra.iter().enumerate().map(|(i, range)| {
            let owner = (i < programs.len()).then_some(i);
            packer.of(owner).field(range.clone())
        });
        let extra = extra.collect();
        Layout {
            words: packer.words(),
            blocks: packer.blocks(),
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
        }
    }
}

/// Who changes what.
pub(super) struct Changed<'p> {
    programs: &'p [Program],
    /// What each CPU may change, anywhere.
    by: Vec<Access>,
}

impl<'p> Changed<'p> {
    fn by(world: &World, programs: &'p [Program]) -> Changed<'p> {
        let ground = Ground { world, single: 0 };
        let changes = |program: &Program| {
            let mut all = Access::NONE;
            for instr in &program.code {
                all.join(&Access::of(ground, &instr.op, &|_| Interval::ANY));
            }
            all
        };
        Changed {
            programs,
            by: programs.iter().map(changes).collect(),
        }
    }

    /// The CPU that alone changes a kind of thing.
    pub(super) fn alone(&self, object: Object) -> Option<usize> {
        only((0..self.by.len()).filter(|&cpu| self.by[cpu].changes(object)))
    }

    /// The CPU that alone has instructions like these.
    pub(super) fn by_ops(&self, like: impl Fn(&Op) -> bool) -> Option<usize> {
        let has = |cpu: &usize| self.programs[*cpu].code.iter().any(|i| like(&i.op));
        only((0..self.programs.len()).filter(has))
    }

    /// Whether any CPU has an instruction like these.
    pub(super) fn any(&self, like: impl Fn(&Op) -> bool) -> bool {
        let mut code = self.programs.iter().flat_map(|program| &program.code);
        code.any(|instr| like(&instr.op))
    }
}

/// The only one there is.
fn only(mut cpus: impl Iterator<Item = usize>) -> Option<usize> {
    cpus.next().filter(|_| cpus.next().is_none())
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
    cpu: usize,
    world: &World,
    program: &Program,
    facts: &Facts,
    batches: BTreeSet<Batch>,
) -> CpuLayout {
    let packer = packer.of(Some(cpu));
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
            let pages = match (most_held(program, hold), hold) {
                (None, PageHold::Lock(_)) => Pages::Any(packer.plane(world.pages())),
                (count, _) => {
                    let count = count.unwrap_or(MOST_HELD);
                    Pages::Few((0..count).map(|_| packer.field(page.clone())).collect())
                }
            };
            (hold, pages)
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
    let regs: Vec<Field> = facts.slot.iter().map(|&slot| fields[slot]).collect();
    let rest = |(at, dead): (usize, &Vec<Reg>)| {
        let zero = dead.iter().map(|reg| (regs[usize::from(reg.0)], 0));
        stores(zero.chain([(pc, at as i64)]))
    };
    let all = Interval {
        least: 0,
        most: world.pages().into(),
    };
    let pages_in = std::iter::repeat_n(all, Batch::ALL.len() + 1);
    let own = stores(fields.iter().chain([&pc]).map(|field| (*field, 0)));
    CpuLayout {
        own: own.iter().map(|one| (one.word, !one.keep)).collect(),
        rests: facts.dead.iter().enumerate().map(rest).collect(),
        batch,
        pc,
        regs,
        ranges: fields
            .iter()
            .map(|field| field.range())
            .chain(pages_in)
            .collect(),
        slots: fields,
        locks,
        pages,
        batches: batches
            .into_iter()
            .map(|batch| (batch, packer.plane(world.pages())))
            .collect(),
    }
}

/// The stores that give these fields these values.
fn stores(values: impl Iterator<Item = (Field, i64)>) -> Vec<Rest> {
    let mut words: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for (field, value) in values {
        let (word, mask) = field.place();
        if mask == 0 {
            continue;
        }
        let (all, bits) = words.entry(word).or_default();
        *all |= mask;
        *bits = *bits & !mask | field.bits_of(value);
    }
    let store = |(word, (all, bits)): (usize, (u64, u64))| Rest {
        word,
        keep: !all,
        bits,
    };
    words.into_iter().map(store).collect()
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
