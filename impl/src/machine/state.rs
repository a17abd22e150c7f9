//! Reading a packed state: the questions that kernel functions, the abstraction and drawings ask.

use super::dataflow::PageHold;
use super::exec::Machine;
use super::layout::{CpuLayout, Pages};
use super::lock::{LockName, Mode};
use super::op::Pc;
use super::packed::Plane;
use super::pagevec::Batch;
use super::world::Pmd;
use std::ops::Range;

/// A packed state, with the machine it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    pub(super) machine: &'a Machine,
    pub(super) words: &'a [u64],
}

impl<'a> State<'a> {
    /// `NR_MLOCK`, in base pages.
    pub fn nr_mlock(self) -> i64 {
        self.machine.layout.nr_mlock.get(self.words)
    }

    /// The pages with `PG_mlocked`, 64 a word.
    pub fn mlocked(self) -> impl Iterator<Item = u64> + 'a {
        self.machine.layout.mlocked.words(self.words)
    }

    /// The pages whose flags are those of their head, 64 a word.
    pub fn rides(self) -> impl Iterator<Item = u64> + 'a {
        self.machine.layout.rides.words(self.words)
    }

    /// The pages that are back with the allocator, 64 a word.
    pub fn free(self) -> impl Iterator<Item = u64> + 'a {
        self.machine.layout.free.words(self.words)
    }

    /// The addresses of `mm` with `VM_LOCKED`, 64 a word.
    pub fn vm_locked(self, mm: u8) -> impl Iterator<Item = u64> + 'a {
        self.machine.layout.vm_locked[usize::from(mm)].words(self.words)
    }

    /// The present ptes of `mm`, 64 a word; they count only where the entry above is a table.
    pub fn ptes(self, mm: u8) -> impl Iterator<Item = u64> + 'a {
        self.machine.layout.pte[usize::from(mm)].words(self.words)
    }

    /// The migration ptes of `mm`, 64 a word: not present, to be restored.
    pub fn migration(self, mm: u8) -> impl Iterator<Item = u64> + 'a {
        self.machine.layout.folio.migration[usize::from(mm)].words(self.words)
    }

    /// The pages with `PG_unevictable`, 64 a word; none if no program moves pages there.
    pub fn unevictable(self) -> impl Iterator<Item = u64> + 'a {
        self.machine.layout.folio.unevictable.words(self.words)
    }

    /// The pages in a CPU's batch, each with what is to be done.
    pub fn batch(self, cpu: usize) -> impl Iterator<Item = (u16, i64)> + 'a {
        let entries = self.cpu(cpu).batch.iter();
        let read = entries.map(move |(p, kind)| (p.get(self.words), kind.get(self.words)));
        read.take_while(|(p, _)| *p > 0)
            .map(|(p, kind)| (p as u16 - 1, kind))
    }

    /// Whether `mm` maps `page`.
    pub fn maps(self, mm: u8, page: u16) -> bool {
        let region = self.machine.world.region_of(page);
        match self.pmd(mm, region) {
            Pmd::Huge | Pmd::Splitting => true,
            Pmd::Table => self.machine.layout.pte[usize::from(mm)].get(self.words, page),
            Pmd::None | Pmd::HugeZero => self.maps_as_spare(mm, region, page),
            Pmd::Migration => false,
        }
    }

    /// Whether the table of `mm` maps all pages of a range.
    pub(super) fn maps_all(self, mm: u8, pages: &Range<u16>) -> bool {
        self.machine.layout.pte[usize::from(mm)].all(self.words, pages.start, pages.end)
    }

    /// The page whose flags stand for `page`.
    pub fn head_of(self, page: u16) -> u16 {
        self.machine.layout.rides.last_clear(self.words, page)
    }

    /// The first page from `page` on that has flags of its own; the number of pages if there is none.
    pub fn next_head(self, page: u16) -> u16 {
        self.machine.layout.rides.next_clear(self.words, page)
    }

    /// Whether a pte of `mm` maps `page`, in its place or not.
    fn has_pte(self, mm: u8, page: u16) -> bool {
        self.machine.layout.pte[usize::from(mm)].get(self.words, page)
    }

    /// Whether the table of a spare frame's home maps it.
    fn maps_as_spare(self, mm: u8, region: usize, page: u16) -> bool {
        let home = usize::from(self.machine.world.home_of(region as u16));
        home != region
            && self.pmd(mm, home) == Pmd::Table
            && self.machine.layout.pte[usize::from(mm)].get(self.words, page)
    }

    /// How `mm` maps an address: by its own region's entry, or by a huge page of spare frames.
    pub fn pmd_at(self, mm: u8, address: u16) -> Pmd {
        let world = &self.machine.world;
        let region = world.region_of(address);
        let own = self.pmd(mm, region);
        let huge = |pmd: &Pmd| matches!(pmd, Pmd::Huge | Pmd::Splitting);
        let spare = |i| self.pmd(mm, usize::from(i));
        match own {
            Pmd::None => world
                .spares_of(region as u16)
                .map(spare)
                .find(huge)
                .unwrap_or(own),
            _ => own,
        }
    }

    /// The frame that `mm` maps at an address; the address itself if nothing is.
    pub(super) fn page_at(self, mm: u8, address: u16) -> u16 {
        let mut frames = self.machine.world.frames_at(address);
        frames
            .find(|&frame| self.maps(mm, frame))
            .unwrap_or(address)
    }

    /// The frame whose migration entry `mm` has at an address.
    pub(super) fn migration_at(self, mm: u8, address: u16) -> Option<u16> {
        let plane = self.machine.layout.migration.get(usize::from(mm))?;
        let mut frames = self.machine.world.frames_at(address);
        frames.find(|&frame| plane.get(self.words, frame))
    }

    /// Whether anybody but `cpu` and those who map the page holds a reference on it.
    pub(super) fn held_elsewhere(self, cpu: usize, page: u16) -> bool {
        let others = || (0..self.machine.programs.len()).filter(move |&other| other != cpu);
        let pinned = |other| {
            self.held_pages(other, PageHold::Pin)
                .any(|held| held == page)
        };
        let in_batch = |other: usize| {
            let cpu = self.machine.layout.cpus.get(other);
            let mut batches = cpu.into_iter().flat_map(|cpu| &cpu.batches);
            batches.any(|(_, plane)| plane.get(self.words, page))
        };
        let own = self.pagevec((cpu, Batch::LruAdd));
        let to_count = |cpu| self.batch(cpu).any(|(batched, _)| batched == page);
        own.is_some_and(|plane| plane.get(self.words, page))
            || (0..self.machine.programs.len()).any(to_count)
            || others().any(|other| pinned(other) || in_batch(other))
    }

    /// The page vector of a CPU, if it is in use.
    pub(super) fn pagevec(self, (cpu, batch): (usize, Batch)) -> Option<Plane> {
        let batches = &self.machine.layout.cpus.get(cpu)?.batches;
        batches
            .iter()
            .find(|(b, _)| *b == batch)
            .map(|(_, plane)| *plane)
    }

    /// How `mm` maps a region.
    pub fn pmd(self, mm: u8, region: usize) -> Pmd {
        let raw = self.machine.layout.pmd[usize::from(mm)][region].get(self.words);
        Pmd::ALL.get(raw as usize).copied().unwrap_or(Pmd::None)
    }

    /// How many address spaces map `page`; a table that is out of its entry for a moment counts, as
    /// its ptes do.
    pub fn mapcount(self, page: u16) -> i64 {
        (0..self.machine.world.mms)
            .filter(|&mm| self.maps(mm, page) || self.has_pte(mm, page))
            .count() as i64
    }

    /// How many address spaces map `page` by a huge entry.
    pub(super) fn pmd_mapcount(self, page: u16) -> i64 {
        let region = self.machine.world.region_of(page);
        let huge = |&mm: &u8| matches!(self.pmd(mm, region), Pmd::Huge | Pmd::Splitting);
        (0..self.machine.world.mms).filter(huge).count() as i64
    }

    /// The next instruction of a CPU.
    #[inline]
    pub fn pc(self, cpu: usize) -> Pc {
        self.cpu(cpu).pc.get(self.words) as Pc
    }

    /// The call a CPU is inside of, by its place in the CPU's script.
    #[inline]
    pub fn call(self, cpu: usize) -> Option<u8> {
        self.machine.facts[cpu].call[usize::from(self.pc(cpu))]
    }

    /// Whether a CPU is inside of a call, and has done something there.
    pub fn is_busy(self, cpu: usize) -> bool {
        let begun = &self.machine.facts[cpu].begun;
        self.call(cpu).is_some() && begun.contains(usize::from(self.pc(cpu)))
    }

    /// Whether a CPU has run all its calls.
    pub fn halted(self, cpu: usize) -> bool {
        usize::from(self.pc(cpu)) >= self.machine.programs[cpu].code.len()
    }

    /// How `cpu` holds `lock`, if it does.
    pub fn holds(self, cpu: usize, lock: LockName) -> Option<Mode> {
        let layout = self.cpu(cpu);
        if let Some((_, _, field)) = layout
            .locks
            .iter()
            .find(|(class, index, _)| (*class, *index) == (lock.class, lock.index))
        {
            return match field.get(self.words) {
                1 => Some(Mode::Exclusive),
                2 => Some(Mode::Shared),
                _ => None,
            };
        }
        self.held_pages(cpu, PageHold::Lock(lock.class))
            .any(|page| page == lock.index)
            .then_some(Mode::Exclusive)
    }

    /// Every lock that `cpu` holds.
    pub fn held(self, cpu: usize) -> impl Iterator<Item = LockName> + 'a {
        let layout = &self.machine.layout.cpus[cpu];
        let words = self.words;
        let named = layout
            .locks
            .iter()
            .filter(move |(_, _, field)| field.get(words) != 0)
            .map(|&(class, index, _)| LockName { class, index });
        let paged = layout.pages.iter().filter_map(|(hold, pages)| match hold {
            PageHold::Lock(class) => Some((*class, pages)),
            PageHold::Pin => None,
        });
        named.chain(paged.flat_map(move |(class, pages)| {
            let index = self.each(pages);
            index.map(move |index| LockName { class, index })
        }))
    }

    /// The CPUs whose hold on `lock` stops `cpu` from taking it in `mode`; itself among them, if it
    /// holds the lock already.
    pub fn blockers(self, lock: LockName, mode: Mode) -> impl Iterator<Item = usize> + 'a {
        (0..self.machine.programs.len()).filter(move |&other| match self.holds(other, lock) {
            Some(Mode::Exclusive) => true,
            Some(Mode::Shared) => mode == Mode::Exclusive,
            None => false,
        })
    }

    /// Whether somebody holds a reference on the folio of `page`: a mapping, a CPU, a batch, a split.
    pub(super) fn referenced(self, page: u16) -> bool {
        self.mapcount(page) > 0 || self.other_refs(page) > 0 || self.mapped_refs(page) > 0
    }

    /// The pages of the folio of `page`: a head, and the tails behind it.
    pub(super) fn folio(self, page: u16) -> Range<u16> {
        let head = self.head(page);
        head..self.machine.layout.tail.next_clear(self.words, head + 1)
    }

    /// The head of the folio of `page`.
    pub(super) fn head(self, page: u16) -> u16 {
        self.machine.layout.tail.last_clear(self.words, page)
    }

    /// What a page's own flags say of its folio's size, in base pages.
    pub(super) fn size(self, page: u16) -> u16 {
        let layout = &self.machine.layout;
        let world = &self.machine.world;
        match layout.compound.get(self.words, page) {
            true if layout.folio.smaller.get(self.words, page) => world.large_pages(),
            true => world.thp_pages,
            false => 1,
        }
    }

    /// The mappings of any page of the folio of `page`; a huge one counts for each.
    pub(super) fn mapped_refs(self, page: u16) -> i64 {
        self.folio(page).map(|q| self.mapcount(q)).sum()
    }

    /// The references on the folio of `page` other than mappings: CPUs, batches, a split.
    pub(super) fn other_refs(self, page: u16) -> i64 {
        let folio = self.folio(page);
        let cpus = 0..self.machine.programs.len();
        let pins = cpus
            .clone()
            .flat_map(|cpu| self.held_pages(cpu, PageHold::Pin));
        let batched = cpus.flat_map(|cpu| self.batch(cpu)).map(|(p, _)| p);
        let held = pins.chain(batched).filter(|p| folio.contains(p)).count() as i64;
        let vectors = self.machine.layout.cpus.iter().flat_map(|cpu| &cpu.batches);
        let in_one = |plane: &Plane| {
            let pages = folio.clone();
            pages.filter(|&q| plane.get(self.words, q)).count()
        };
        let waiting = vectors.map(|(_, plane)| in_one(plane) as i64).sum::<i64>();
        let split_ref = self.machine.layout.split_ref;
        held + waiting + i64::from(split_ref.get(self.words, folio.start))
    }

    /// The pages that a CPU holds in one way.
    pub(super) fn held_pages(self, cpu: usize, hold: PageHold) -> impl Iterator<Item = u16> + 'a {
        let mut all = self.cpu(cpu).pages.iter();
        let pages = all.find(|(h, _)| *h == hold).map(|(_, pages)| pages);
        pages.into_iter().flat_map(move |pages| self.each(pages))
    }

    fn each(self, pages: &'a Pages) -> impl Iterator<Item = u16> + 'a {
        let (slots, plane) = match pages {
            Pages::Few(slots) => (&slots[..], None),
            Pages::Any(plane) => (&[][..], Some(plane)),
        };
        let held = slots.iter().map(move |slot| slot.get(self.words));
        let held = held.filter(|&page| page > 0).map(|page| page as u16 - 1);
        held.chain(plane.into_iter().flat_map(move |p| p.each(self.words)))
    }

    #[inline]
    pub(super) fn cpu(self, cpu: usize) -> &'a CpuLayout {
        &self.machine.layout.cpus[cpu]
    }
}
