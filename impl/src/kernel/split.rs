//! `split_huge_page()` as it was from 2.6.38 to v4.4.
//!
//! The phases:
//!
//! 1. The anon_vma lock keeps the list of those who map the page still.
//! 2. Every huge entry that maps the page is marked *splitting*, each under its mm's PT lock: who
//!    finds such an entry waits.
//! 3. Under `lru_lock` and `compound_lock`, from the last tail down, each tail's flags are cleared
//!    (here it stops being a tail) and set from what is read, tail by tail, of the head's flags.
//! 4. The head loses its size, last.
//! 5. The splitter drops the references it gave the tails.
//! 6. Every splitting entry becomes a table, each under its PT lock.
//!
//! Neither `mmap_sem` nor the page lock is taken.
//!
//! Source: 3.4.5 and 4.1.18 mm/huge_memory.c `split_huge_page()`, `__split_huge_page_splitting()`,
//! `__split_huge_page_refcount()`, `__split_huge_page_map()`.
//!
//! # What this does not model
//!
//! * The lock of the anon_vma was a mutex before v3.8 and is a semaphore held for writing since.
//! * The plain stores to a tail's flags are one atomic action each, so a lock bit that somebody sets
//!   between the load and the store of the second of them is not lost here (one that is set before
//!   the first is).
//! * Flags other than `PG_mlocked`, `PG_lru`, `PG_locked` and the compound bits; the LRU insertion of
//!   a tail counts as part of the store of its flags, which nobody can tell under `lru_lock`.
//! * While the page is mapped, the tails' extra references cannot be the last and are left out.

use super::{Kernel, TailFlags, page, walk};
use crate::machine::{Asm, Class, Flag, Mode, Op, Pmd, Reg, RegKind, Source, read};

const CITE: &str = "71e3aac0724f (2.6.38) mm/huge_memory.c, read in 3.4.5 and 4.1.18";

/// Splits the huge page of a region, unless it is split or unmapped already.
///
/// Held on entry: a reference on the head.
pub(super) fn split_huge_page(k: &mut Asm<'_>, kernel: &Kernel, region: u16) {
    k.function("split_huge_page", CITE, |k| {
        let head = k.world().regions[usize::from(region)].start;
        k.lock(Class::AnonVma, Mode::Exclusive, head);
        let mapcount = k.load("mapped", RegKind::Count, Source::Mapcount(head.into()));
        k.block(|k, done| {
            k.if_(mapcount.is(0), |k| k.goto(done));
            k.if_else(
                read(Source::PageCompound(head.into())),
                |_| {},
                |k| k.goto(done),
            );
            mark_splitting(k, region, mapcount);
            split_refcount(k, kernel, region, mapcount);
            for mm in 0..k.world().mms {
                map_ptes(k, mm, region);
            }
        });
        k.unlock(Class::AnonVma, head);
    });
}

/// Phase 2; leaves the number of entries that were marked in `mapcount`.
fn mark_splitting(k: &mut Asm<'_>, region: u16, mapcount: Reg) {
    let head = k.world().regions[usize::from(region)].start;
    k.function("__split_huge_page_splitting", CITE, |k| {
        k.set(mapcount, 0);
        for mm in 0..k.world().mms {
            k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
            let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
            k.if_(pmd.is(Pmd::Huge), |k| {
                k.emit(Op::SetPmd(mm, region, Pmd::Splitting));
                k.set(mapcount, mapcount + 1);
            });
            k.unlock(Class::PageTable, u16::from(mm));
        }
        k.bug_on(Source::Mapcount(head.into()), |found| {
            found.is(mapcount).is_zero()
        });
    });
}

/// Phases 3 to 5.
fn split_refcount(k: &mut Asm<'_>, kernel: &Kernel, region: u16, mapcount: Reg) {
    let head = k.world().regions[usize::from(region)].start;
    let thp_pages = k.world().thp_pages;
    k.function("__split_huge_page_refcount", CITE, |k| {
        let tail = k.local("page_tail", RegKind::Page);
        k.lock(Class::Lru, Mode::Exclusive, 0);
        k.lock(Class::Compound, Mode::Exclusive, head);
        k.set(tail, head + thp_pages - 1);
        k.while_(tail.is(head).is_zero(), |k| {
            k.if_(mapcount.is(0), |k| k.emit(Op::GetSplitRef(tail.into())));
            k.emit(Op::ClearTailFlags(tail.into()));
            let mlocked = match kernel.tail_flags {
                TailFlags::CopyMlocked => {
                    let from = Source::Flag(Flag::Mlocked, head.into());
                    k.load("head_mlocked", RegKind::Flag, from).get()
                }
                TailFlags::LoseMlocked => 0.into(),
            };
            k.emit(Op::SetTailFlags(tail.into(), mlocked));
            k.set(tail, tail - 1);
        });
        k.emit(Op::ClearCompound(head.into()));
        k.unlock(Class::Compound, head);
        k.unlock(Class::Lru, 0);
        k.if_(mapcount.is(0), |k| {
            k.set(tail, head + 1);
            k.while_(tail.get().less_than(head + thp_pages), |k| {
                page::put_split_ref(k, kernel, tail);
                k.set(tail, tail + 1);
            });
        });
    });
}

/// Phase 6, for one address space.
fn map_ptes(k: &mut Asm<'_>, mm: u8, region: u16) {
    k.function("__split_huge_page_map", CITE, |k| {
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
        k.if_(pmd.is(Pmd::Splitting), |k| {
            k.emit(Op::FillTable(mm, region))
        });
        k.unlock(Class::PageTable, u16::from(mm));
    });
}

/// `split_huge_page_pmd()`: splits whatever huge page an address space maps at a region, because an
/// area is about to end inside it.
pub(super) fn split_huge_page_pmd(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, region: u16) {
    k.function("split_huge_page_pmd", CITE, |k| {
        let head = k.local("page", RegKind::Page);
        k.set(head, k.world().regions[usize::from(region)].start);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
        let huge = k.local("huge", RegKind::Flag);
        k.set(
            huge,
            pmd.get().less_than(Pmd::Table) & pmd.is(Pmd::None).is_zero(),
        );
        k.if_(huge, |k| k.emit(Op::GetPage(head.into())));
        k.unlock(Class::PageTable, u16::from(mm));
        k.if_(huge, |k| {
            split_huge_page(k, kernel, region);
            page::put_page(k, kernel, head);
            k.bug_on(Source::Pmd(mm, region), walk::is_huge);
        });
    });
}
