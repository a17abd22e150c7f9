//! From a scenario in which something happens to one in which nothing can be left out: fewest calls,
//! then fewest CPUs, address spaces, regions and pages, then whole regions, locked by everybody.
//!
//! What proptest does by numbers this does by meaning, and so goes on where that gets stuck.

use crate::scenario::{about, parts, region_of};
use mlock_refinement::fixture::{Call, Fixture, Mm, Range, Region};

/// The smallest scenario that can be reached by leaving out one thing after the other.
pub(crate) fn shrunk(fixture: &Fixture, happens: impl Fn(&Fixture) -> bool) -> Fixture {
    let mut best = fixture.clone();
    loop {
        let next = smaller(&best)
            .into_iter()
            .find(|f| is_scenario(f) && happens(f));
        match next {
            Some(next) => best = next,
            None => return best,
        }
    }
}

fn is_scenario(fixture: &Fixture) -> bool {
    !fixture.cpus.is_empty() && fixture.concrete(fixture.pages[0]).is_ok()
}

/// Scenarios with one thing less, the most worth leaving out first.
fn smaller(fixture: &Fixture) -> Vec<Fixture> {
    let mut out = Vec::new();
    for (cpu, script) in fixture.cpus.iter().enumerate() {
        for at in 0..script.len() {
            let mut less = fixture.clone();
            less.cpus[cpu].remove(at);
            less.cpus.retain(|script| !script.is_empty());
            out.push(less);
        }
    }
    // One CPU does what two did, in either order.
    for (cpu, script) in fixture.cpus.iter().enumerate() {
        for other in (0..fixture.cpus.len()).filter(|other| *other != cpu) {
            let mut less = fixture.clone();
            less.cpus[other].extend(script);
            less.cpus.remove(cpu);
            out.push(less);
        }
    }
    out.extend((0..fixture.memory.mms.len()).map(|mm| without_mm(fixture, mm)));
    out.extend((0..fixture.memory.regions.len()).map(|region| without_region(fixture, region)));
    if fixture.pages[0] > 2 {
        let mut less = fixture.clone();
        less.pages = vec![fixture.pages[0] / 2];
        out.push(less);
    }
    for (mm, memory) in fixture.memory.mms.iter().enumerate() {
        let locked: Vec<Range> = memory.maps.iter().map(|r| Range::Region(*r)).collect();
        if memory.locked.len() < locked.len() {
            let mut plain = fixture.clone();
            plain.memory.mms[mm].locked = locked;
            out.push(marked(plain));
        }
    }
    for (cpu, script) in fixture.cpus.iter().enumerate() {
        for (at, call) in script.iter().enumerate() {
            let mut plain = fixture.clone();
            plain.cpus[cpu][at] = whole(*call);
            if plain != *fixture {
                out.push(plain);
            }
            let simple = [Mm::A, mm_of(*call)].map(|mm| {
                let region = Range::Region(0);
                [Call::Munlock(mm, region), Call::Mlock(mm, region)]
            });
            let simple = simple.into_iter().flatten().chain([Call::Split(0)]);
            for simple in simple.filter(|simple| rank(*simple) < rank(*call)) {
                let mut plain = fixture.clone();
                plain.cpus[cpu][at] = simple;
                out.push(plain);
            }
        }
    }
    out
}

/// The scenario in which what somebody has locked starts marked.
fn marked(mut fixture: Fixture) -> Fixture {
    let locked = fixture.memory.mms.iter().flat_map(|mm| &mm.locked);
    let mut regions: Vec<usize> = locked.filter_map(|r| region_of(*r)).collect();
    regions.sort_unstable();
    regions.dedup();
    fixture.memory.mlocked = regions.into_iter().map(Range::Region).collect();
    fixture
}

/// The same call with what it is about changed; none if that is gone.
fn mapped(
    call: Call,
    mm: impl Fn(Mm) -> Option<Mm>,
    region: impl Fn(usize) -> Option<usize>,
    range: impl Fn(Range) -> Option<Range>,
) -> Option<Call> {
    let (mms, of_region, of_range) = parts(call);
    let mms = mms.into_iter().map(mm).collect::<Option<Vec<Mm>>>()?;
    let first = mms.first().copied().unwrap_or(Mm::A);
    let second = mms.get(1).copied().unwrap_or(Mm::A);
    let region = of_region.map_or(Some(0), region)?;
    let range = of_range.map_or(Some(Range::Region(0)), range)?;
    Some(about(call, first, second, region, range))
}

/// The same call for a whole region.
fn whole(call: Call) -> Call {
    let whole = |range| Some(Range::Region(region_of(range).unwrap_or(0)));
    mapped(call, Some, Some, whole).unwrap_or(call)
}

/// The first address space that a call is about.
fn mm_of(call: Call) -> Mm {
    parts(call).0.first().copied().unwrap_or(Mm::A)
}

/// How simple a call is, the simplest first.
fn rank(call: Call) -> (u8, u8) {
    match call {
        Call::Split(_) => (0, 0),
        Call::Munlock(mm, _) => (1, mm as u8),
        Call::Mlock(mm, _) => (2, mm as u8),
        _ => (3, 0),
    }
}

/// Without an address space and all its calls.
fn without_mm(fixture: &Fixture, gone: usize) -> Fixture {
    let names = [Mm::A, Mm::B, Mm::C, Mm::D];
    let moved = |mm: Mm| match mm as usize {
        i if i == gone => None,
        i => names.get(i - usize::from(i > gone)).copied(),
    };
    let mut less = fixture.clone();
    less.memory.mms.remove(gone);
    keep_calls(&mut less, |call| mapped(call, moved, Some, Some));
    marked(less)
}

/// Without a region and all calls for it.
fn without_region(fixture: &Fixture, gone: usize) -> Fixture {
    let moved = |region: usize| (region != gone).then_some(region - usize::from(region > gone));
    let range = |range: Range| {
        Some(match range {
            Range::Region(r) => Range::Region(moved(r)?),
            Range::FirstHalf(r) => Range::FirstHalf(moved(r)?),
            Range::SecondHalf(r) => Range::SecondHalf(moved(r)?),
            Range::FirstPage(r) => Range::FirstPage(moved(r)?),
            Range::LastPage(r) => Range::LastPage(moved(r)?),
            Range::Regions(..) => Range::Region(0),
        })
    };
    let mut less = fixture.clone();
    less.memory.regions.remove(gone);
    for region in &mut less.memory.regions {
        match region {
            // Frames for nobody: there is no such scenario.
            Region::Spare(home) | Region::SpareThp(home) => {
                *home = moved(*home).unwrap_or(usize::MAX)
            }
            _ => {}
        }
    }
    less.memory
        .lru_add
        .retain_mut(|(_, r)| range(*r).map(|moved| *r = moved).is_some());
    for mm in &mut less.memory.mms {
        mm.maps = mm.maps.iter().filter_map(|r| moved(*r)).collect();
        mm.locked = mm.locked.iter().filter_map(|r| range(*r)).collect();
    }
    keep_calls(&mut less, |call| mapped(call, Some, moved, range));
    marked(less)
}

fn keep_calls(fixture: &mut Fixture, keep: impl Fn(Call) -> Option<Call>) {
    for script in &mut fixture.cpus {
        *script = script.iter().filter_map(|call| keep(*call)).collect();
    }
    fixture.cpus.retain(|script| !script.is_empty());
}
