//! What no run has seen: a check that never has anything to check says nothing.
//!
//! Over all runs of all fixtures, every instruction of every kernel is taken somewhere, every
//! transition of the specification is matched, every guard lets something pass and refuses something,
//! and every law has something to say.
//! Whatever is missing is a finding with a stable name, or one of the [`REASONS`] covers it.

use crate::check::Run;
use crate::fixture::Verdict;
use crate::reasons::{Reason, reason};
use crate::system::STUTTER;
use crate::tally::Guards;
use mlock_spec::{GuardKind, Law, TransitionKind};
use std::collections::{BTreeMap, BTreeSet};

/// The steps of each kernel, by label, with the transitions that they match: bits as in
/// [`Tally::matched`](crate::system::Tally::matched), none if the step is never taken.
pub fn steps<'r>(runs: &[Run<'r>]) -> BTreeMap<&'r str, BTreeMap<&'r str, u16>> {
    let mut kernels: BTreeMap<&str, BTreeMap<&str, u16>> = BTreeMap::new();
    for run in runs {
        let steps = kernels.entry(run.kernel).or_default();
        for (cpu, program) in run.programs.iter().enumerate() {
            let matched = run.report.tally.matched.get(cpu);
            let code = program.code.iter().enumerate();
            for (pc, instr) in code.filter(|(_, instr)| !instr.op.is_local()) {
                // The same step may stand in a program several times.
                let label = instr.label.split(" #").next().unwrap_or_default();
                let bits = matched.and_then(|row| row.get(pc)).copied().unwrap_or(0);
                *steps.entry(label).or_default() |= bits;
            }
        }
    }
    kernels
}

/// The transitions that are meant by bits of [`Tally::matched`](crate::system::Tally::matched).
pub fn transitions(bits: u16) -> impl Iterator<Item = TransitionKind> {
    let all = TransitionKind::ALL.into_iter();
    all.filter(move |&kind| bits & !STUTTER & 1 << kind as u16 != 0)
}

/// Everything that no run has seen, in the order of its names.
///
/// * `guard/NotOneRun/refuses` or `…/passes`: no step was refused, or let pass, by this guard;
/// * `label/munlock_vma_page: lock_page(page)`: no kernel takes this step;
/// * `label/v3.9/munlock_vma_page: lock_page(page)`: another kernel takes it, this one does not;
/// * `law/SplitKeeps`: this law never has anything to say;
/// * `transition/Collapse`: no step of a kernel is this transition.
pub fn never_seen(runs: &[Run<'_>]) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let kernels = steps(runs);
    let all = || kernels.values().flatten();
    let taken: BTreeSet<&str> = all()
        .filter(|(_, bits)| **bits != 0)
        .map(|(label, _)| *label)
        .collect();
    for (kernel, steps) in &kernels {
        for (label, _) in steps.iter().filter(|(_, bits)| **bits == 0) {
            out.insert(if taken.contains(label) {
                format!("label/{kernel}/{label}")
            } else {
                format!("label/{label}")
            });
        }
    }
    let matched = all().fold(0, |matched, (_, bits)| matched | bits);
    let seen: BTreeSet<TransitionKind> = transitions(matched).collect();
    let missing = TransitionKind::ALL
        .into_iter()
        .filter(|kind| !seen.contains(kind));
    out.extend(missing.map(|kind| format!("transition/{kind:?}")));
    let mut guards = Guards::default();
    for run in runs {
        guards.merge(run.report.tally.guards);
    }
    for guard in GuardKind::ALL {
        let (passes, refuses) = guards.seen(guard);
        for (what, seen) in [("passes", passes), ("refuses", refuses)] {
            if !seen {
                out.insert(format!("guard/{guard:?}/{what}"));
            }
        }
    }
    for law in Law::ALL {
        let speaks = |run: &Run<'_>| run.report.laws[&law].verdict != Verdict::NotApplicable;
        if !runs.iter().any(speaks) {
            out.insert(format!("law/{law}"));
        }
    }
    out
}

/// Why something is never seen.
#[rustfmt::skip]
pub const REASONS: [Reason; 21] = [
    reason("the judge reads a transition off two states, and none that it can read is ill-formed", &[
        "guard/UnknownActor/refuses", "guard/UnknownMm/refuses", "guard/OutsideMemory/refuses", "guard/CallInFlight/*",
        "guard/NoCall/refuses", "guard/NoPages/refuses", "guard/NotPresent/refuses",
        "guard/CutsFolio/refuses", "guard/AlreadyMlocked/refuses", "guard/NotMlocked/refuses",
        "guard/NothingOwed/refuses", "guard/AlreadyHeads/refuses", "guard/AlreadyWanted/refuses",
        "guard/NotWanted/refuses",
    ]),
    reason("the area is not locked, and at this size none that is locked is as long", &[
        "label/*munlock_vma_pages_range: vm_flags &= ~ VM_LOCKED (B: 0-*5)",
    ]),
    reason("no split of these kernels marks or clears", &["guard/MarksInSplit/refuses"]),
    reason("khugepaged joins fresh frames, one run of them, none marked", &[
        "guard/NotOneRun/refuses", "guard/OneFolio/refuses", "guard/MixedMarks/refuses",
    ]),
    reason("the huge zero page is unmapped here; it came in v3.8, and no scenario maps it twice", &[
        "label/*unmap_vmas: pmd of B = none", "label/v2.6.38/unmap_vmas: pmd of A = none",
    ]),
    reason("a migration finds no mark from v3.7 on: the last unmap has cleared it (that is F15)", &[
        "label/*mlock_migrate_page: *",
    ]),
    reason("the page that a copy replaces is no longer mapped, or was munlocked before: nothing is marked", &[
        "label/*mlock_vma_page: *old_page)", "label/*try_to_unmap_one: *old_page*",
    ]),
    reason("a page that was munlocked before it is unmapped has no mark left; only truncation unmaps without", &[
        "label/*clear_page_mlock: *(page)",
    ]),
    reason("of the other pages of a nonlinear area, the check of the page lock fires first (that is F20), or they are marked already", &[
        "label/*mlock_vma_page: *(address)", "label/*isolate_lru_page: *(address)",
        "label/*putback_lru_page: *(address)",
    ]),
    reason("a page that migrates is off its list already", &[
        "label/isolate_lru_page: *(target)", "label/putback_lru_page: *(target)",
    ]),
    reason("an address in a table of small pages: its entry is never huge, nor becomes so", &[
        "label/wait_split_huge_page: BUG_ON on pmd of A at address",
        "label/split_huge_page_pmd: BUG_ON on pmd of B, region 0",
    ]),
    reason("in no scenario does the second mm map small pages that have spare frames, and munlock or unmap them", &[
        "label/*: page = pte of B at *", "label/zap_pte_range: clear migration entry of B for entry − 1",
    ]),
    reason("in no scenario does the second mm map a THP by ptes", &[
        "label/*try_to_migrate_one: pte of B at addr = migration entry",
        "label/*remove_migration_pte: found = migration entry(B, addr)",
        "label/*remove_migration_pte: pte of B at addr restored",
        "label/*mlock_pte_range: pages = folio_pte_batch(B, *)",
    ]),
    reason("no scenario cuts a THP that migrates by way of its second mm", &[
        "label/*__split_huge_pmd: split migration entry of B",
    ]),
    reason("a driver's page is on no list, so it does not migrate, and whoever frees it has a reference while it unmaps", &[
        "label/zap_pte_range: *migration entry*A*page*",
    ]),
    reason("a page that takes another's place is on no list and not marked before it is mapped", &[
        "label/isolate_lru_page: TestClearPageLRU(dst)",
        "label/lru_add_fn: SetPageUnevictable(dst)", "label/lru_add_fn: mlock_count(dst) = 0",
    ]),
    reason("a copy in an area that is not locked is not marked, and who made it maps the old page no more", &[
        "label/lru_add_fn: SetPageUnevictable(new_page)", "label/lru_add_fn: mlock_count(new_page) = 0",
        "label/page_mlock_one: found = VM_LOCKED(A, old_page)",
    ]),
    reason("of the kernels that ask the reverse map, the fixtures of v4.5 and v5.14 have khugepaged", &[
        "label/v4.12/page_remove_rmap: mapcount = compound_mapcount(folio)",
        "label/v5.11/page_remove_rmap: mapcount = compound_mapcount(folio)",
    ]),
    reason("a fault finds a huge page of a file, which a pte does not mark", &[
        "label/folio_add_anon_rmap: found = VM_LOCKED, not VM_IO (B, address)", "label/mlock_folio: *address*",
    ]),
    reason("up to v4.13 a THP is split before it migrates, so that none migrates whole", &[
        "label/v4.*/try_to_migrate_one: pmd of * = migration entry",
        "label/v4.*/remove_migration_pte: pmd of * = huge again",
        "label/v4.*/remove_migration_pte: found = PageDoubleMap(addr)",
        "label/*__split_huge_pmd: split migration entry of A",
    ]),
    reason("the folder of a twin or of a small variant holds what it differs in; the kernel that it is built on takes this step", &[
        "label/claim-*/*", "label/fix-*/*", "label/v2.6.31-rc/*",
        "label/v2.6.37/*", "label/v3.7-rc/*", "label/v3.15/*",
        "label/v4.4-fix-int/*", "label/v4.5-keeps-mark/*", "label/v4.8/*", "label/v4.10/*", "label/v5.14-rc/*",
        "label/v5.18-clears-first/*", "label/v5.18-no-marker/*",
    ]),
];
