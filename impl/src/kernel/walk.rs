//! From an address to the page behind it: `follow_page()` in its two roles, and the wait for a split.

use super::v3_7::mlock_vma_page;
use super::{HugeMlock, Kernel, lru, page};
use crate::machine::{Area, Asm, Class, Expr, Mode, Op, Pmd, Reg, RegKind, Source, read, trylock};

const CITE: &str = "v3.7 mm/memory.c follow_page(), mm/huge_memory.c follow_trans_huge_pmd()";

/// Whether a page-table state is huge, splitting or not.
pub(super) fn is_huge(pmd: Reg) -> Expr {
    pmd.get().less_than(Pmd::Table) & pmd.is(Pmd::None).is_zero()
}

/// `wait_split_huge_page()`: the splitter holds the anon_vma lock until the entry is a table, so
/// taking and dropping that lock is a wait.
pub(super) fn wait_split_huge_page(k: &mut Asm<'_>, mm: u8, addr: Reg) {
    k.function(
        "wait_split_huge_page",
        "71e3aac0724f include/linux/huge_mm.h",
        |k| {
            let area = head_of(k, addr);
            k.lock(Class::AnonVma, Mode::Exclusive, area.clone());
            k.unlock(Class::AnonVma, area);
            k.bug_on(Source::PmdAt(mm, addr.into()), is_huge);
        },
    );
}

/// The first page of the huge page around an address.
pub(super) fn head_of(k: &Asm<'_>, addr: Reg) -> Expr {
    addr - (addr & (k.world().thp_pages - 1))
}

/// The frame behind an address that is known to be mapped: `pte_page()`. It is `addr` itself unless
/// spare frames can have taken its place.
pub(super) fn page_at(k: &mut Asm<'_>, mm: u8, addr: Reg) -> Reg {
    if k.world().has_spares() {
        k.load("page", RegKind::Page, Source::PageAt(mm, addr.into()))
    } else {
        addr
    }
}

/// The frame, and 1, whose migration entry stands at an address; nothing where pages stay put.
pub(super) fn migration_entry(k: &mut Asm<'_>, mm: u8, addr: Reg) -> Option<Reg> {
    let entry = Source::MigrationAt(mm, addr.into());
    k.world()
        .has_spares()
        .then(|| k.load("entry", RegKind::Page, entry))
}

/// Takes the PT lock of `mm` and reads the entry for `addr`, having waited for a split to end.
/// The PT lock is held on return, and the variable is never `Splitting`.
pub(super) fn lock_pmd(k: &mut Asm<'_>, mm: u8, addr: Reg) -> Reg {
    let pmd = k.local("pmd", RegKind::Small);
    k.loop_(|k, _, done| {
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        k.emit(Op::Load(pmd, Source::PmdAt(mm, addr.into())));
        k.if_(pmd.is(Pmd::Splitting).is_zero(), |k| k.goto(done));
        k.unlock(Class::PageTable, u16::from(mm));
        wait_split_huge_page(k, mm, addr);
    });
    pmd
}

/// `follow_page(FOLL_GET | FOLL_DUMP)`: a reference on the page that an address maps.
///
/// Leaves 1 in the first returned variable if there is a page, which is then in the second: in an
/// unsplit huge page that may be a *tail*.
/// A migration entry is no page, and nobody waits for it.
/// `mask` becomes the mask of `follow_page_mask()`: the pages, less one, that the entry maps.
/// The PT lock is dropped again before the caller sees the page.
pub(super) fn follow_page_get(k: &mut Asm<'_>, mm: u8, addr: Reg, mask: Reg) -> (Reg, Reg) {
    let got = k.local("got", RegKind::Flag);
    let page = k.function("follow_page", CITE, |k| {
        let thp_pages = k.world().thp_pages;
        k.set(got, 0);
        k.set(mask, 0);
        let pmd = lock_pmd(k, mm, addr);
        k.if_(is_huge(pmd), |k| {
            k.set(got, 1);
            k.set(mask, thp_pages - 1);
        });
        k.if_(pmd.is(Pmd::HugeZero), |k| k.set(mask, thp_pages - 1));
        k.if_(pmd.is(Pmd::Table), |k| {
            k.if_(read(Source::PtePresent(mm, addr.into())), |k| k.set(got, 1));
        });
        let page = page_at(k, mm, addr);
        k.if_(got, |k| k.emit(Op::GetPage(page.into())));
        k.unlock(Class::PageTable, u16::from(mm));
        page
    });
    (got, page)
}

/// `follow_page(FOLL_MLOCK)`: marks the page that an address maps, under the PT lock.
///
/// The page lock comes before the PT lock in the order, so here it can only be tried; a page whose
/// lock is taken is left alone, for reclaim to find later.
/// The huge zero page has no mapping and is left alone as well.
/// Where a migration entry stands the caller faults, which waits for the page's lock, and looks again.
/// `mask` becomes the mask of `follow_page_mask()`.
pub(super) fn follow_page_mlock(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, addr: Reg, mask: Reg) {
    k.function("follow_page", CITE, |k| {
        let thp_pages = k.world().thp_pages;
        let page = k.local("page", RegKind::Page);
        let found = k.local("present", RegKind::Flag);
        k.set(found, 0);
        k.set(mask, 0);
        let pmd = lock_pmd_past_migration(k, mm, addr);
        k.if_(is_huge(pmd), |k| {
            k.set(
                found,
                if kernel.huge_mlock == HugeMlock::Marks {
                    1
                } else {
                    0
                },
            );
            let at = page_at(k, mm, addr);
            k.set(page, head_of(k, at));
            k.set(mask, thp_pages - 1);
        });
        k.if_(pmd.is(Pmd::HugeZero), |k| k.set(mask, thp_pages - 1));
        k.if_(pmd.is(Pmd::Table), |k| {
            let at = page_at(k, mm, addr);
            k.set(page, at);
            k.if_(read(Source::PtePresent(mm, addr.into())), |k| {
                k.set(found, 1)
            });
        });
        k.if_(found, |k| {
            k.if_(read(Source::VmLocked(mm, addr.into())), |k| {
                k.if_(trylock(Class::PageLock, Mode::Exclusive, page), |k| {
                    lru::drain_own(k, kernel);
                    mlock_vma_page(k, kernel, page);
                    k.unlock(Class::PageLock, page);
                });
            });
        });
        k.unlock(Class::PageTable, u16::from(mm));
    });
}

/// Munlocks what an address maps the way every kernel up to v4.4 but `fix-ptl` does: find the page,
/// drop the PT lock, lock the page, and only then look at it.
pub(super) fn munlock_found_page(
    k: &mut Asm<'_>,
    kernel: &Kernel,
    area: &Area,
    addr: Reg,
    mask: Reg,
) {
    let (got, page) = follow_page_get(k, area.mm, addr, mask);
    k.if_(got, |k| {
        k.lock(Class::PageLock, Mode::Exclusive, page);
        (kernel.munlock_page)(k, kernel, page, mask);
        k.unlock(Class::PageLock, page);
        page::put_page(k, kernel, page);
    });
}

/// As [`lock_pmd`], having waited for a migration of the page at `addr` to end as well:
/// `migration_entry_wait()` sleeps until the page is unlocked.
fn lock_pmd_past_migration(k: &mut Asm<'_>, mm: u8, addr: Reg) -> Reg {
    if !k.world().has_spares() {
        return lock_pmd(k, mm, addr);
    }
    let found = k.local("pmd", RegKind::Small);
    k.loop_(|k, _, done| {
        let pmd = lock_pmd(k, mm, addr);
        k.set(found, pmd);
        let Some(entry) = migration_entry(k, mm, addr) else {
            return;
        };
        k.if_(entry.is(0), |k| k.goto(done));
        k.unlock(Class::PageTable, u16::from(mm));
        k.function("migration_entry_wait", "v3.7 mm/migrate.c", |k| {
            k.lock(Class::PageLock, Mode::Exclusive, entry - 1);
            k.unlock(Class::PageLock, entry - 1);
        });
    });
    found
}
