//! The system calls up to v4.4, and a split that comes from outside.
//!
//! What differs from era to era is in the [`Kernel`]: how far a walk goes in one iteration, what it
//! does at one address, what a split does to the flags.

use super::{
    Kernel, SysCall, Walk, collapse, copy, fault, lru, migrate, page, reclaim, rmap, split, walk,
};
use std::ops::Range;

use crate::machine::{Area, Asm, Class, Cond, Mode, Op, Pmd, Reg, RegKind, Source, read};

/// Emits the body of a call, as the kernels up to v4.4 make it.
pub(super) fn call(k: &mut Asm<'_>, kernel: &Kernel, call: &SysCall) {
    kernel.call(k, call);
}

impl Kernel {
    fn call(&self, k: &mut Asm<'_>, call: &SysCall) {
        match call {
            SysCall::Mlock(area) => self.mlock(k, area),
            SysCall::Munlock(area) => self.munlock(k, area),
            SysCall::Munmap(area) => self.munmap(k, area),
            SysCall::Exit(mm) => self.exit_mmap(k, *mm),
            SysCall::Fork(parent, child) => fork(k, *parent, *child),
            SysCall::Split(region) => self.split(k, *region),
            SysCall::Fault(area) => fault::fault(k, self, area),
            SysCall::Write(area) => copy::write(k, self, area),
            SysCall::Reclaim(pages) => reclaim::shrink_page_list(k, self, pages),
            SysCall::ReclaimNonlinear(area) => reclaim::shrink_nonlinear(k, self, area),
            SysCall::Migrate(pages) => migrate::migrate_pages(k, self, pages),
            SysCall::Truncate(pages) => self.truncate(k, pages),
            SysCall::Collapse(region) => collapse::collapse(k, self, *region),
            SysCall::DrainAll => lru::drain_all(k, self),
            // Calls of later kernels: these have nothing to do for them.
            SysCall::SplitToLarge(_)
            | SysCall::SplitPmd(..)
            | SysCall::FreePage(_)
            | SysCall::Drain => {}
        }
    }

    /// `mlock()`: `VM_LOCKED` under `mmap_sem` held for writing, then the pages under `mmap_sem` held
    /// for reading. Source: v3.7 mm/mlock.c `sys_mlock()`, `mlock_fixup()`, `do_mlock_pages()`.
    fn mlock(&self, k: &mut Asm<'_>, area: &Area) {
        let mm = u16::from(area.mm);
        lru::drain_all(k, self);
        k.lock(Class::MmapSem, Mode::Exclusive, mm);
        self.split_area(k, area);
        k.emit(Op::SetVmLocked(area.clone(), true));
        k.unlock(Class::MmapSem, mm);
        k.lock(Class::MmapSem, Mode::Shared, mm);
        k.function("__mlock_vma_pages_range", "v3.7 mm/mlock.c", |k| {
            self.walk(k, area, |k, addr, mask| {
                walk::follow_page_mlock(k, self, area.mm, addr, mask)
            });
        });
        k.unlock(Class::MmapSem, mm);
    }

    /// `munlock()`. Source: v3.7 mm/mlock.c `sys_munlock()`, `mlock_fixup()`.
    fn munlock(&self, k: &mut Asm<'_>, area: &Area) {
        let mm = u16::from(area.mm);
        k.lock(Class::MmapSem, Mode::Exclusive, mm);
        k.if_(read(Source::VmLockedIn(area.clone())), |k| {
            self.split_area(k, area);
            self.munlock_vma_pages_range(k, area);
        });
        k.unlock(Class::MmapSem, mm);
    }

    /// `munlock_vma_pages_range()`: first `VM_LOCKED`, then the pages. The caller sees to `mmap_sem`.
    fn munlock_vma_pages_range(&self, k: &mut Asm<'_>, area: &Area) {
        k.function("munlock_vma_pages_range", self.source, |k| {
            k.emit(Op::SetVmLocked(area.clone(), false));
            self.walk(k, area, |k, addr, mask| {
                (self.munlock_at)(k, self, area, addr, mask);
            });
        });
    }

    /// `munmap()`: a locked area is munlocked first. Source: v3.7 mm/mmap.c `do_munmap()`.
    fn munmap(&self, k: &mut Asm<'_>, area: &Area) {
        let mm = u16::from(area.mm);
        k.lock(Class::MmapSem, Mode::Exclusive, mm);
        self.split_area(k, area);
        k.if_(read(Source::VmLockedIn(area.clone())), |k| {
            self.munlock_vma_pages_range(k, area)
        });
        zap_area(k, self, area);
        k.unlock(Class::MmapSem, mm);
    }

    /// `exit_mmap()`: as `munmap()` of everything, but nobody is left to need `mmap_sem`.
    /// Source: v3.7 mm/mmap.c.
    fn exit_mmap(&self, k: &mut Asm<'_>, mm: u8) {
        let areas: Vec<Area> = k
            .world()
            .regions
            .iter()
            .filter(|region| region.home.is_none())
            .map(|region| Area {
                mm,
                pages: region.pages(),
            })
            .collect();
        k.function("exit_mmap", "v3.7 mm/mmap.c", |k| {
            for area in &areas {
                k.if_(read(Source::VmLockedIn(area.clone())), |k| {
                    self.munlock_vma_pages_range(k, area);
                });
            }
            for area in &areas {
                zap_area(k, self, area);
            }
        });
    }

    /// `unmap_mapping_range()`, which removes private copies too: as `munmap()`, in every address
    /// space, but nothing is munlocked and nobody has `mmap_sem`. Source: v3.7 mm/memory.c.
    ///
    /// The lock of the file's mapping is left out; nothing here takes it but truncation.
    fn truncate(&self, k: &mut Asm<'_>, pages: &Range<u16>) {
        for mm in 0..k.world().mms {
            let area = Area {
                mm,
                pages: pages.clone(),
            };
            self.split_area(k, &area);
            zap_area(k, self, &area);
        }
    }

    /// A split by somebody who came by way of the page, if the page is still there.
    fn split(&self, k: &mut Asm<'_>, region: u16) {
        let head = k.local("page", RegKind::Page);
        k.set(head, k.world().regions[usize::from(region)].start);
        k.if_(Cond::GetPageUnlessZero(head.into()), |k| {
            split::split_huge_page(k, self, region);
            page::put_page(k, self, head);
        });
    }

    /// `vma_adjust_trans_huge()`: splits the huge pages that an area begins or ends inside of.
    /// Source: 94fcc585fb85 (2.6.38) mm/huge_memory.c.
    fn split_area(&self, k: &mut Asm<'_>, area: &Area) {
        k.function(
            "vma_adjust_trans_huge",
            "94fcc585fb85 mm/huge_memory.c",
            |k| {
                let world = k.world();
                for (i, region) in (0..).zip(&world.regions) {
                    let cuts = |at: u16| region.start < at && at < region.start + region.len;
                    if cuts(area.pages.start) || cuts(area.pages.end) {
                        for frames in std::iter::once(i).chain(world.spares_of(i)) {
                            split::split_huge_page_pmd(k, self, area.mm, frames);
                        }
                    }
                }
            },
        );
    }

    /// Visits the addresses of an area; `visit` leaves in its last variable how many pages, less
    /// one, around the address need no visit of their own.
    fn walk(&self, k: &mut Asm<'_>, area: &Area, visit: impl FnOnce(&mut Asm<'_>, Reg, Reg)) {
        let addr = k.local("addr", RegKind::Page);
        let mask = k.local("page_mask", RegKind::Count);
        k.set(addr, area.pages.start);
        k.while_(addr.get().less_than(area.pages.end), |k| {
            visit(k, addr, mask);
            match self.walk {
                Walk::EveryPage => k.set(addr, addr + 1),
                Walk::ByMask => k.set(addr, addr + 1 + (!addr & mask)),
            }
        });
    }
}

/// `unmap_vmas()` for an area that cuts through no huge page.
fn zap_area(k: &mut Asm<'_>, kernel: &Kernel, area: &Area) {
    let mm = area.mm;
    for (i, region) in k.world().regions.clone().into_iter().enumerate() {
        if region.home.is_some() {
            continue;
        }
        let from = area.pages.start.max(region.start);
        let to = area.pages.end.min(region.start + region.len);
        if from >= to {
            continue;
        }
        let addr = k.local("addr", RegKind::Page);
        k.function("unmap_vmas", "v3.7 mm/memory.c zap_pmd_range()", |k| {
            k.set(addr, from);
            for spare in k.world().spares_of(i as u16) {
                walk::lock_pmd(k, mm, addr);
                let huge = k.load("pmd", RegKind::Small, Source::Pmd(mm, spare));
                k.if_else(
                    huge.is(Pmd::Huge),
                    |k| rmap::zap_huge_pmd(k, kernel, mm, spare),
                    |k| k.unlock(Class::PageTable, u16::from(mm)),
                );
            }
            let pmd = walk::lock_pmd(k, mm, addr);
            k.if_else(
                pmd.is(Pmd::Huge),
                |k| rmap::zap_huge_pmd(k, kernel, mm, i as u16),
                |k| {
                    k.if_(pmd.is(Pmd::HugeZero), |k| {
                        k.emit(Op::SetPmd(mm, i as u16, Pmd::None));
                    });
                    k.if_(pmd.is(Pmd::Table), |k| {
                        k.while_(addr.get().less_than(to), |k| {
                            rmap::zap_pte(k, kernel, mm, addr);
                            k.set(addr, addr + 1);
                        });
                    });
                    k.unlock(Class::PageTable, u16::from(mm));
                },
            );
        });
    }
}

/// `fork()`: the child maps what the parent maps, and locks nothing; the statistic is untouched.
///
/// Source: v3.7 kernel/fork.c `dup_mmap()`, mm/memory.c `copy_pmd_range()`, mm/huge_memory.c
/// `copy_huge_pmd()`. A table is copied in one step, under both PT locks.
fn fork(k: &mut Asm<'_>, parent: u8, child: u8) {
    k.lock(Class::MmapSem, Mode::Exclusive, u16::from(parent));
    for region in 0..k.world().regions.len() as u16 {
        k.function(
            "copy_page_range",
            "v3.7 mm/memory.c, mm/huge_memory.c copy_huge_pmd()",
            |k| {
                let addr = k.local("addr", RegKind::Page);
                k.set(addr, k.world().regions[usize::from(region)].start);
                k.loop_(|k, _, done| {
                    k.lock(Class::PageTable, Mode::Exclusive, u16::from(child));
                    k.lock(Class::PageTable, Mode::Exclusive, u16::from(parent));
                    let pmd = k.load("pmd", RegKind::Small, Source::Pmd(parent, region));
                    k.if_(pmd.is(Pmd::Splitting).is_zero(), |k| {
                        k.emit(Op::CopyPmd(parent, child, region));
                    });
                    k.unlock(Class::PageTable, u16::from(parent));
                    k.unlock(Class::PageTable, u16::from(child));
                    k.if_(pmd.is(Pmd::Splitting).is_zero(), |k| k.goto(done));
                    walk::wait_split_huge_page(k, parent, addr);
                });
            },
        );
    }
    k.unlock(Class::MmapSem, u16::from(parent));
}
