//! Scenarios at random: fixtures without expectations.
//!
//! What is generated is consistent: what starts marked is what somebody has locked; nobody uses an
//! address space that exits elsewhere; a child of a fork is empty before and its parent's alone.
//! Numbers too large are taken modulo what there is, and calls that make no sense are left out, so that
//! whatever a scenario shrinks to is one too: fewer calls, fewer CPUs, fewer mms, fewer pages.

use mlock_impl::kernel::Kernel;
use mlock_refinement::contract::contract_of;
use mlock_refinement::fixture::{Call, Fixture, Memory, Mm, MmMemory, Range, Region};
use mlock_spec::Contract;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A call as it is generated: what to do, in which address space, to what, and a second choice.
type RawCall = (u8, u8, u8, u8);
/// The regions an address space does not map, and those that it has not locked, as bits.
type RawMm = (u8, u8);

const MMS: [Mm; 4] = [Mm::A, Mm::B, Mm::C, Mm::D];

/// Scenarios for one kernel.
pub(crate) fn scenarios(kernel: &str) -> impl Strategy<Value = Fixture> + use<> {
    let kernel = Kernel::named(kernel).unwrap();
    // Calls that only later kernels have come last.
    let contract = contract_of(&kernel);
    let calls = if contract == Contract::ORIGINAL {
        12u8
    } else if contract == Contract::V4_5 {
        13
    } else {
        15
    };
    let call = (0..calls, 0..3u8, 0..2u8, 0..8u8);
    let script = prop::collection::vec(call, 1..=3);
    let mm = (0..8u8, 0..8u8);
    // What comes first shrinks first: with everything locked, a call that locks is one too many.
    let parts = (
        prop::collection::vec(mm, 1..=3),
        0..3u8,
        0..5u8,
        prop::collection::vec(script, 1..=3),
    );
    parts.prop_filter_map("no call makes sense", move |(mms, size, kind, cpus)| {
        let fixture = fixture(kernel.name, &cpus, &mms, kind, size);
        (!fixture.cpus.is_empty()).then_some(fixture)
    })
}

fn fixture(kernel: &str, cpus: &[Vec<RawCall>], mms: &[RawMm], kind: u8, size: u8) -> Fixture {
    let regions = match kind {
        0 => vec![Region::Thp],
        1 => vec![Region::Thp, Region::Small(2)],
        2 => vec![Region::Small(2)],
        3 => vec![Region::Thp, Region::Thp],
        _ => vec![Region::HugeZero, Region::Small(2)],
    };
    let memory = memory(&regions, mms);
    Fixture {
        format: 1,
        claim: "generated".to_owned(),
        source: "generated".to_owned(),
        shows: Vec::new(),
        cures: Vec::new(),
        kernel: kernel.to_owned(),
        cpus: calls(cpus, &memory),
        memory,
        pages: vec![2 << size],
        reduced: Vec::new(),
        laws: BTreeMap::new(),
        outcomes: Vec::new(),
        counts: BTreeMap::new(),
    }
}

fn memory(regions: &[Region], mms: &[RawMm]) -> Memory {
    let mut marked = BTreeSet::new();
    let mut of_mm = |&(maps, locked): &RawMm| {
        let maps: Vec<usize> = (0..regions.len()).filter(|r| maps >> r & 1 == 0).collect();
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
fn calls(cpus: &[Vec<RawCall>], memory: &Memory) -> Vec<Vec<Call>> {
    let raw = cpus
        .iter()
        .map(|script| script.iter().map(|c| call(*c, memory)));
    let raw: Vec<Vec<Call>> = raw.map(Iterator::collect).collect();
    let sensible = |cpu: usize, at: usize| {
        let elsewhere = |mm: Mm| {
            let others = raw.iter().enumerate().filter(|(other, _)| *other != cpu);
            others.flat_map(|(_, script)| script).any(|c| uses(c, mm))
        };
        let exited = |mm: Mm| raw[cpu][..at].contains(&Call::Exit(mm));
        let (before, own) = (&raw[cpu][..at], &raw[cpu][at]);
        let alive = MMS.into_iter().all(|mm| !(uses(own, mm) && exited(mm)));
        alive
            && match *own {
                Call::Exit(mm) => !elsewhere(mm),
                Call::Fork(parent, child) => {
                    let empty = memory.mms[child as usize].maps.is_empty();
                    let fresh = !before.iter().any(|c| uses(c, child));
                    parent != child && empty && fresh && !elsewhere(child)
                }
                Call::Split(region)
                | Call::SplitPmd(_, region)
                | Call::Migrate(Range::Region(region)) => memory.regions[region] == Region::Thp,
                // The machine takes the range of a call for one area, so it should be locked alike.
                Call::Munlock(mm, Range::Regions(..)) | Call::Munmap(mm, Range::Regions(..)) => {
                    let mm = &memory.mms[mm as usize];
                    mm.locked.len() == mm.maps.len()
                }
                _ => true,
            }
    };
    let scripts = raw.iter().enumerate().map(|(cpu, script)| {
        let kept = script
            .iter()
            .enumerate()
            .filter(|(at, _)| sensible(cpu, *at));
        kept.map(|(_, c)| *c).collect::<Vec<Call>>()
    });
    scripts.filter(|script| !script.is_empty()).collect()
}

fn call((what, mm, region, part): RawCall, memory: &Memory) -> Call {
    let mm_at = |i: u8| MMS[usize::from(i) % memory.mms.len()];
    let region = usize::from(region) % memory.regions.len();
    let range = match part {
        0..=3 => Range::Region(region),
        4 => Range::FirstHalf(region),
        5 => Range::SecondHalf(region),
        6 => Range::FirstPage(region),
        _ => Range::Regions(0, memory.regions.len() - 1),
    };
    let mm = mm_at(mm);
    match what {
        0..=2 => Call::Split(region),
        3..=5 => Call::Munlock(mm, range),
        6..=8 => Call::Mlock(mm, range),
        9 => Call::Munmap(mm, range),
        10 => Call::Exit(mm),
        11 => Call::Fork(mm, mm_at(part)),
        12 => Call::SplitPmd(mm, region),
        _ => Call::Migrate(Range::Region(region)),
    }
}

/// Whether a call is among those that are generated.
pub(crate) fn is_generated(call: &Call) -> bool {
    matches!(
        call,
        Call::Mlock(..)
            | Call::Munlock(..)
            | Call::Munmap(..)
            | Call::Exit(_)
            | Call::Fork(..)
            | Call::Split(_)
            | Call::SplitPmd(..)
            | Call::Migrate(_)
    )
}

fn uses(call: &Call, mm: Mm) -> bool {
    match *call {
        Call::Mlock(a, _)
        | Call::Munlock(a, _)
        | Call::Munmap(a, _)
        | Call::SplitPmd(a, _)
        | Call::Exit(a) => a == mm,
        Call::Fork(a, b) => a == mm || b == mm,
        // The others are not generated.
        _ => false,
    }
}

/// How large a scenario is: calls, CPUs, address spaces, pages, compared in this order.
pub(crate) fn size(fixture: &Fixture, pages: u16) -> (usize, usize, usize, u16) {
    let calls = fixture.cpus.iter().map(Vec::len).sum();
    (calls, fixture.cpus.len(), fixture.memory.mms.len(), pages)
}
