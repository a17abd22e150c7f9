//! What the instructions of [`FolioOp`] do.

use super::dataflow::PageHold;
use super::exec::{Bug, Next, Ran, Stop};
use super::folio::{FolioOp, FolioSize, FolioSource, VmFlags};
use super::op::{Expr, Pc};
use super::state::State;
use super::world::Pmd;

impl<'m> Next<'m> {
    /// Runs one instruction on folios; `to` is where the program goes on.
    pub(super) fn folio(
        &mut self,
        before: State<'m>,
        cpu: usize,
        op: &FolioOp,
        to: &mut Pc,
    ) -> Ran<()> {
        let machine = self.machine;
        let layout = &machine.layout;
        let page = |e: &Expr| machine.eval(before.words, cpu, e) as u16;
        let head = |region: u16| machine.world.regions[usize::from(region)].start;
        match op {
            FolioOp::FreezePmd(mm, region) => {
                self.table_of_entries(*mm, *region);
                self.hold(cpu, PageHold::Pin, head(*region))
            }
            FolioOp::MigratePmd(mm, region) => {
                self.set_pmd((*mm).into(), (*region).into(), Pmd::Migration);
                self.hold(cpu, PageHold::Pin, head(*region))
            }
            FolioOp::SplitEntry(mm, region) => {
                self.table_of_entries(*mm, *region);
                Ok(())
            }
            FolioOp::RestorePmd(mm, region) => {
                self.set_pmd((*mm).into(), (*region).into(), Pmd::Huge);
                Ok(())
            }
            FolioOp::FreezePte(mm, p) => {
                self.set_entry(*mm, page(p), false, true);
                self.hold(cpu, PageHold::Pin, page(p))
            }
            FolioOp::RestorePte(mm, p) => {
                self.set_entry(*mm, page(p), true, false);
                Ok(())
            }
            FolioOp::ClearEntry(mm, p) => {
                self.set_entry(*mm, page(p), false, false);
                Ok(())
            }
            FolioOp::TryFreezeRefs(p, otherwise) => {
                if before.mapped_refs(page(p)) + before.other_refs(page(p)) == 1 {
                    for q in before.folio(page(p)) {
                        layout.folio.frozen.set(&mut self.words, q, true);
                    }
                } else {
                    *to = *otherwise;
                }
                Ok(())
            }
            FolioOp::UnfreezeRefs(p) => {
                self.unfreeze(before, page(p));
                Ok(())
            }
            FolioOp::SplitTail(p, size) => {
                self.split_tail(before, page(p), *size);
                Ok(())
            }
            FolioOp::Shrink(p) => {
                layout.folio.smaller.set(&mut self.words, page(p), true);
                Ok(())
            }
            FolioOp::SetMlockCount(p, count) => {
                let count = machine.eval(before.words, cpu, count);
                if layout.folio.set_count(&mut self.words, page(p), count) {
                    return Ok(());
                }
                Err(Stop::Bug(Bug::OutOfRange("mlock_count".to_owned())))
            }
            FolioOp::SetVmFlags(area, flags) => {
                let mm = usize::from(area.mm);
                for p in area.pages.clone() {
                    let marked = *flags == VmFlags::LockedMarked;
                    layout.vm_locked[mm].set(&mut self.words, p, *flags != VmFlags::Unlocked);
                    layout.folio.marked[mm].set(&mut self.words, p, marked);
                }
                Ok(())
            }
            FolioOp::BatchAdd(p, kind, now) => {
                let batch = &layout.cpus[cpu].batch;
                let free = batch.iter().position(|(p, _)| p.get(&self.words) == 0);
                let Some((slot, of_kind)) = free.and_then(|i| batch.get(i)) else {
                    return Err(Stop::Bug(Bug::OutOfRange("a full batch".to_owned())));
                };
                let fits = slot.set(&mut self.words, i64::from(page(p)) + 1)
                    && of_kind.set(&mut self.words, *kind as i64);
                debug_assert!(fits, "a batch has room for every page");
                let full = batch.iter().all(|(p, _)| p.get(&self.words) != 0);
                let large = layout.compound.get(before.words, page(p));
                self.set(cpu, *now, (full || large).into())
            }
            FolioOp::BatchPut(last) => {
                let first = before.batch(cpu).next();
                self.drop_first_of_batch(cpu);
                let gone = first.is_some_and(|(p, _)| !self.state().referenced(p));
                self.set(cpu, *last, gone.into())
            }
        }
    }

    fn table_of_entries(&mut self, mm: u8, region: u16) {
        self.set_pmd(mm.into(), region.into(), Pmd::Table);
        for page in self.machine.world.regions[usize::from(region)].pages() {
            self.set_entry(mm, page, false, true);
        }
    }

    fn set_entry(&mut self, mm: u8, page: u16, present: bool, migration: bool) {
        let layout = &self.machine.layout;
        let mm = usize::from(mm);
        layout.pte[mm].set(&mut self.words, page, present);
        layout.folio.migration[mm].set(&mut self.words, page, migration);
    }

    fn unfreeze(&mut self, of: State<'_>, page: u16) {
        for q in of.folio(page) {
            let frozen = self.machine.layout.folio.frozen;
            frozen.set(&mut self.words, q, false);
        }
    }

    /// From here on the page speaks for itself, and for the tails behind it.
    fn split_tail(&mut self, before: State<'m>, page: u16, size: FolioSize) {
        let layout = &self.machine.layout;
        let head = before.head(page);
        for plane in [layout.mlocked, layout.lru, layout.folio.unevictable] {
            let value = plane.get(before.words, head);
            plane.set(&mut self.words, page, value);
        }
        for plane in [layout.tail, layout.rides] {
            plane.set(&mut self.words, page, false);
        }
        for plane in [layout.compound, layout.folio.smaller] {
            plane.set(&mut self.words, page, size == FolioSize::Large);
        }
        layout.split_ref.set(&mut self.words, page, true);
        for q in page..page + size.pages(&self.machine.world) {
            layout.folio.frozen.set(&mut self.words, q, false);
        }
    }

    fn drop_first_of_batch(&mut self, cpu: usize) {
        let batch = &self.machine.layout.cpus[cpu].batch;
        let read = |words: &[u64]| -> Vec<(i64, i64)> {
            let fields = batch.iter();
            fields.map(|(p, k)| (p.get(words), k.get(words))).collect()
        };
        let rest = read(&self.words).into_iter().skip(1).chain([(0, 0)]);
        for ((page, kind), (p, k)) in batch.iter().zip(rest) {
            let _fits = page.set(&mut self.words, p) && kind.set(&mut self.words, k);
        }
    }

    pub(super) fn load_folio(&self, before: State<'m>, cpu: usize, source: &FolioSource) -> i64 {
        let machine = self.machine;
        let layout = &machine.layout;
        let eval = |e| machine.eval(before.words, cpu, e) as u16;
        let page = source.expr().map_or(0, eval);
        match source {
            FolioSource::ExtraRefs(_) => (before.other_refs(page) > 1).into(),
            FolioSource::PmdMapcount(_) => before.pmd_mapcount(page),
            FolioSource::MappedByPtes(_) => {
                let all = before.folio(page).map(|q| before.mapcount(q)).max();
                let now = all.unwrap_or(0) > before.pmd_mapcount(page);
                (now || layout.folio.double_map.get(before.words, page)).into()
            }
            FolioSource::Head(_) => before.head(page).into(),
            FolioSource::MlockCount(_) => layout.folio.count(before.words, page),
            FolioSource::MigrationEntry(mm, _) => layout.folio.migration[usize::from(*mm)]
                .get(before.words, page)
                .into(),
            FolioSource::LockedUnmarked(mm, _) => {
                let mm = usize::from(*mm);
                let address = machine.world.address_of(page);
                let locked = layout.vm_locked[mm].get(before.words, address);
                (locked && !layout.folio.marked[mm].get(before.words, address)).into()
            }
            FolioSource::Unlocked(area) => {
                let locked = layout.vm_locked[usize::from(area.mm)];
                let mut pages = area.pages.clone();
                pages.any(|p| !locked.get(before.words, p)).into()
            }
            FolioSource::PteBatch(mm, _, end) => {
                let ptes = layout.pte[usize::from(*mm)];
                let head = before.head(page);
                let same = |q: &u16| before.head(*q) == head && ptes.get(before.words, *q);
                let left = end.saturating_sub(machine.world.address_of(page));
                (page..page + left).take_while(same).count() as i64
            }
        }
    }
}
