//! Scenarios at random: fixtures without expectations, made of the calls and the kinds of regions that
//! the fixtures of a kernel are made of.
//!
//! What is generated is consistent: what starts marked is what somebody has locked; nobody uses an
//! address space that exits elsewhere; a child of a fork is empty before and its parent's alone; one
//! call at most uses spare frames.
//! Numbers too large are taken modulo what there is, and calls that make no sense are left out, so that
//! whatever a scenario shrinks to is one too: fewer calls, fewer CPUs, fewer mms, fewer pages.

use mlock_impl::kernel::{Kernel, Migration};
use mlock_refinement::fixture::{Call, Fixture, Memory, Mm, MmMemory, Range, Region};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

/// A call as it is generated: what to do, in which address space, to what, and a second choice.
type RawCall = (u8, u8, u8, u8);
/// The regions an address space does not map, and those that it has not locked, as bits.
type RawMm = (u8, u8);

const MMS: [Mm; 4] = [Mm::A, Mm::B, Mm::C, Mm::D];
const ALL: Range = Range::Region(0);

/// Calls that are generated for every kernel, the likelier ones several times.
const CALLS: [Call; 12] = [
    Call::Split(0),
    Call::Split(0),
    Call::Split(0),
    Call::Munlock(Mm::A, ALL),
    Call::Munlock(Mm::A, ALL),
    Call::Munlock(Mm::A, ALL),
    Call::Mlock(Mm::A, ALL),
    Call::Mlock(Mm::A, ALL),
    Call::Mlock(Mm::A, ALL),
    Call::Munmap(Mm::A, ALL),
    Call::Exit(Mm::A),
    Call::Fork(Mm::A, Mm::B),
];

/// What the scenarios of a kernel are made of.
#[derive(Clone)]
pub(crate) struct Vocabulary {
    kernel: Kernel,
    /// Calls; what they are about is chosen later.
    calls: Vec<Call>,
    memories: Vec<Vec<Region>>,
    /// Whether pages can start on their way to a list.
    lru_add: bool,
}

impl Vocabulary {
    /// What the fixtures of a kernel are made of, and what all scenarios are.
    pub(crate) fn of(kernel: &str, fixtures: &[Fixture]) -> Vocabulary {
        let own = || fixtures.iter().filter(|f| f.kernel == kernel);
        let mut calls = CALLS.to_vec();
        for call in own().flat_map(|f| f.cpus.iter().flatten()) {
            if !calls.iter().any(|c| discriminant(c) == discriminant(call)) {
                calls.push(*call);
            }
        }
        let has = |region: Region| own().any(|f| f.memory.regions.contains(&region));
        let mut memories = vec![
            vec![Region::Thp],
            vec![Region::Thp, Region::Small(2)],
            vec![Region::Small(2)],
            vec![Region::Thp, Region::Thp],
            vec![Region::HugeZero, Region::Small(2)],
        ];
        let more = [
            (Region::Small(1), vec![Region::Small(1)]),
            (Region::Table, vec![Region::Table]),
            (Region::Large, vec![Region::Large]),
            (Region::FileThp, vec![Region::FileThp]),
            (Region::Spare(0), vec![Region::Table, Region::Spare(0)]),
            (Region::SpareThp(0), vec![Region::Thp, Region::SpareThp(0)]),
        ];
        let more = more.into_iter().filter(|(region, _)| has(*region));
        memories.extend(more.map(|(_, memory)| memory));
        let copied = vec![Region::Thp, Region::Spare(0)];
        if own().any(|f| f.memory.regions == copied) {
            memories.push(copied);
        }
        Vocabulary {
            kernel: Kernel::named(kernel).unwrap(),
            calls,
            memories,
            lru_add: own().any(|f| !f.memory.lru_add.is_empty()),
        }
    }
}

/// Sizes: 2, 4 or 8 pages per huge page, as how often 2 is doubled.
pub(crate) fn small() -> BoxedStrategy<u8> {
    (0..3u8).boxed()
}

/// Mostly small; now and then up to the real size.
pub(crate) fn up_to_the_real_size() -> BoxedStrategy<u8> {
    prop_oneof![4 => 0..3u8, 1 => 3..9u8].boxed()
}

/// Scenarios for one kernel, at sizes like these.
pub(crate) fn scenarios(
    vocabulary: &Vocabulary,
    sizes: BoxedStrategy<u8>,
) -> impl Strategy<Value = Fixture> + use<> {
    let words = vocabulary.clone();
    let call = (0..words.calls.len() as u8, 0..3u8, 0..2u8, 0..8u8);
    let script = prop::collection::vec(call, 1..=3);
    // Mostly everything is mapped, and locked: nothing happens to what nobody has.
    let some = || prop_oneof![2 => Just(0u8), 1 => 0..8u8];
    let mm = (some(), some());
    // What comes first shrinks first: with everything locked, a call that locks is one too many.
    let parts = (
        prop::collection::vec(mm, 1..=3),
        sizes,
        0..words.memories.len() as u8,
        0..3u8,
        prop::collection::vec(script, 1..=3),
    );
    parts.prop_filter_map(
        "no call makes sense",
        move |(mms, size, kind, on_way, cpus)| {
            let regions = &words.memories[usize::from(kind)];
            let mut memory = memory(regions, &mms);
            let small = matches!(regions[0], Region::Table | Region::Small(_));
            if words.lru_add && small && on_way == 0 {
                memory.lru_add = vec![(0, ALL)];
            }
            let fixture = fixture(&words, &cpus, memory, size);
            (!fixture.cpus.is_empty()).then_some(fixture)
        },
    )
}

fn fixture(words: &Vocabulary, cpus: &[Vec<RawCall>], memory: Memory, size: u8) -> Fixture {
    let cpus = calls(words, cpus, &memory);
    let halves = |call: &Call| matches!(call, Call::SplitToLarge(_));
    let in_halves = memory.regions.contains(&Region::Large) || cpus.iter().flatten().any(halves);
    // A half of two pages is no large folio.
    let least = if in_halves { 4 } else { 2 };
    Fixture {
        format: 1,
        claim: "generated".to_owned(),
        source: "generated".to_owned(),
        shows: Vec::new(),
        cures: Vec::new(),
        kernel: words.kernel.name.to_owned(),
        cpus,
        memory,
        pages: vec![(2 << size).max(least)],
        reduced: Vec::new(),
        laws: BTreeMap::new(),
        outcomes: Vec::new(),
        counts: BTreeMap::new(),
    }
}

fn is_spare(region: &Region) -> bool {
    matches!(region, Region::Spare(_) | Region::SpareThp(_))
}

fn memory(regions: &[Region], mms: &[RawMm]) -> Memory {
    let mut marked = BTreeSet::new();
    let own = regions.iter().filter(|r| !is_spare(r)).count();
    let mut of_mm = |&(maps, locked): &RawMm| {
        let maps: Vec<usize> = (0..own).filter(|r| maps >> r & 1 == 0).collect();
        let locked = maps.iter().copied().filter(|r| locked >> r & 1 == 0);
        // The huge zero page has no marks.
        let locked: Vec<usize> = locked.filter(|&r| regions[r] != Region::HugeZero).collect();
        marked.extend(locked.iter().copied());
        MmMemory {
            maps,
            locked: locked.into_iter().map(Range::Region).collect(),
        }
    };
    let mms = mms.iter().map(&mut of_mm).collect();
    Memory {
        regions: regions.to_vec(),
        mms,
        mlocked: marked.into_iter().map(Range::Region).collect(),
        lru_add: Vec::new(),
    }
}

/// The scripts, without calls that make no sense and without CPUs that have none left.
fn calls(words: &Vocabulary, cpus: &[Vec<RawCall>], memory: &Memory) -> Vec<Vec<Call>> {
    let raw = cpus
        .iter()
        .map(|script| script.iter().map(|c| call(words, *c, memory)));
    let raw: Vec<Vec<Call>> = raw.map(Iterator::collect).collect();
    let mut spares = memory.regions.iter().filter(|r| is_spare(r)).count();
    let mut kept = |cpu: usize, at: usize| {
        if !makes_sense(words.kernel, &raw, cpu, at, memory) {
            return false;
        }
        if uses_spares(words.kernel, &raw[cpu][at], memory) {
            let left = spares > 0;
            spares = spares.saturating_sub(1);
            return left;
        }
        true
    };
    let scripts = raw.iter().enumerate().map(|(cpu, script)| {
        let calls = script.iter().enumerate();
        let calls = calls.filter(|(at, _)| kept(cpu, *at));
        calls.map(|(_, c)| *c).collect::<Vec<Call>>()
    });
    scripts.filter(|script| !script.is_empty()).collect()
}

/// Whether a call needs frames of its own to move pages to.
fn uses_spares(kernel: Kernel, call: &Call, memory: &Memory) -> bool {
    match call {
        Call::Write(..) | Call::Collapse(_) => true,
        Call::Migrate(_) => {
            kernel.migration() == Migration::Moves || memory.regions.iter().any(is_spare)
        }
        _ => false,
    }
}

/// Whether a call makes sense, given all the others.
fn makes_sense(kernel: Kernel, raw: &[Vec<Call>], cpu: usize, at: usize, memory: &Memory) -> bool {
    let elsewhere = |mm: Mm| {
        let others = raw.iter().enumerate().filter(|(other, _)| *other != cpu);
        others.flat_map(|(_, script)| script).any(|c| uses(c, mm))
    };
    let exited = |mm: Mm| raw[cpu][..at].contains(&Call::Exit(mm));
    let (before, own) = (&raw[cpu][..at], &raw[cpu][at]);
    let alive = MMS.into_iter().all(|mm| !(uses(own, mm) && exited(mm)));
    let thp = |region: usize| memory.regions[region] == Region::Thp;
    let large = |region: usize| memory.regions[region] == Region::Large;
    let small = |range: Range| {
        let region = region_of(range).map(|r| memory.regions[r]);
        matches!(region, Some(Region::Small(_) | Region::Table))
    };
    let one_region = |range: Range| region_of(range).is_some();
    alive
        && match *own {
            Call::Exit(mm) => !elsewhere(mm),
            Call::Fork(parent, child) => {
                let empty = memory.mms[child as usize].maps.is_empty();
                let fresh = !before.iter().any(|c| uses(c, child));
                (parent as usize) < child as usize && empty && fresh && !elsewhere(child)
            }
            Call::Split(region) => thp(region) || large(region),
            Call::SplitToLarge(region) | Call::SplitPmd(_, region) => thp(region),
            Call::Migrate(range) => {
                let still = [Region::HugeZero, Region::FileThp];
                // Only single pages are modelled to move to other frames.
                let moves =
                    kernel.migration() == Migration::Moves || memory.regions.iter().any(is_spare);
                region_of(range).is_some_and(|r| !still.contains(&memory.regions[r]))
                    && (small(range) || !moves)
            }
            // What truncation and reclaim do to huge pages is not modelled in every kernel.
            Call::Truncate(range) | Call::Reclaim(range) => {
                let moves = memory.regions.iter().any(is_spare);
                small(range) && (!moves || kernel.migration() == Migration::Moves)
            }
            Call::ReclaimNonlinear(_, range) => small(range),
            Call::Collapse(region) => memory.regions[region] == Region::Table,
            // A driver's page is alone in its region.
            Call::FreePage(region) => memory.regions[region] == Region::Small(1),
            // A fault finds no other frame than what others may have freed, but in a file.
            Call::Fault(_, range) => {
                let of_file = memory.regions.contains(&Region::FileThp);
                one_region(range) && (of_file || !raw.iter().flatten().any(Call::may_free))
            }
            Call::Write(_, range) => one_region(range),
            // The machine takes the range of a call for one area, so it should be locked alike.
            Call::Munlock(mm, Range::Regions(..)) | Call::Munmap(mm, Range::Regions(..)) => {
                let mm = &memory.mms[mm as usize];
                mm.locked.len() == mm.maps.len()
            }
            _ => true,
        }
}

/// The region that a range is in, if it is in one.
pub(crate) fn region_of(range: Range) -> Option<usize> {
    match range {
        Range::Region(r)
        | Range::FirstHalf(r)
        | Range::SecondHalf(r)
        | Range::FirstPage(r)
        | Range::LastPage(r) => Some(r),
        Range::Regions(..) => None,
    }
}

fn call(words: &Vocabulary, (what, mm, region, part): RawCall, memory: &Memory) -> Call {
    let own = memory.regions.iter().filter(|r| !is_spare(r)).count();
    let mm_at = |i: u8| MMS[usize::from(i) % memory.mms.len()];
    let region = usize::from(region) % own;
    let range = match part {
        0..=3 => Range::Region(region),
        4 => Range::FirstHalf(region),
        5 => Range::SecondHalf(region),
        6 => Range::FirstPage(region),
        _ => Range::Regions(0, own - 1),
    };
    let mm = mm_at(mm);
    about(
        words.calls[usize::from(what)],
        mm,
        mm_at(part),
        region,
        range,
    )
}

/// A call of the same kind, about these.
pub(crate) fn about(call: Call, mm: Mm, other: Mm, region: usize, range: Range) -> Call {
    match call {
        Call::Mlock(..) => Call::Mlock(mm, range),
        Call::Munlock(..) => Call::Munlock(mm, range),
        Call::Munmap(..) => Call::Munmap(mm, range),
        Call::Exit(_) => Call::Exit(mm),
        Call::Fork(..) => Call::Fork(mm, other),
        Call::Split(_) => Call::Split(region),
        Call::Fault(..) => Call::Fault(mm, range),
        Call::Write(..) => Call::Write(mm, range),
        Call::Reclaim(_) => Call::Reclaim(range),
        Call::ReclaimNonlinear(..) => Call::ReclaimNonlinear(mm, range),
        Call::Migrate(_) => Call::Migrate(range),
        Call::Truncate(_) => Call::Truncate(range),
        Call::Collapse(_) => Call::Collapse(region),
        Call::DrainAll => Call::DrainAll,
        Call::SplitToLarge(_) => Call::SplitToLarge(region),
        Call::SplitPmd(..) => Call::SplitPmd(mm, region),
        Call::FreePage(_) => Call::FreePage(region),
        Call::Drain => Call::Drain,
    }
}

/// What a call is about: address spaces, a region, a range; as far as it names them.
pub(crate) fn parts(call: Call) -> (Vec<Mm>, Option<usize>, Option<Range>) {
    match call {
        Call::Mlock(mm, range)
        | Call::Munlock(mm, range)
        | Call::Munmap(mm, range)
        | Call::Fault(mm, range)
        | Call::Write(mm, range)
        | Call::ReclaimNonlinear(mm, range) => (vec![mm], None, Some(range)),
        Call::Exit(mm) => (vec![mm], None, None),
        Call::Fork(parent, child) => (vec![parent, child], None, None),
        Call::Split(region)
        | Call::SplitToLarge(region)
        | Call::Collapse(region)
        | Call::FreePage(region) => (Vec::new(), Some(region), None),
        Call::Reclaim(range) | Call::Migrate(range) | Call::Truncate(range) => {
            (Vec::new(), None, Some(range))
        }
        Call::SplitPmd(mm, region) => (vec![mm], Some(region), None),
        Call::DrainAll | Call::Drain => (Vec::new(), None, None),
    }
}

fn uses(call: &Call, mm: Mm) -> bool {
    parts(*call).0.contains(&mm)
}

/// How large a scenario is: calls, CPUs, address spaces, pages, compared in this order.
pub(crate) fn size(fixture: &Fixture, pages: u16) -> (usize, usize, usize, u16) {
    let calls = fixture.cpus.iter().map(Vec::len).sum();
    (calls, fixture.cpus.len(), fixture.memory.mms.len(), pages)
}
