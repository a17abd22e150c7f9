//! What there is: memory, address spaces, and how it all starts.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The state of one page-middle-directory entry: how an address space maps one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Pmd {
    /// Nothing is mapped.
    None = 0,
    /// A transparent huge page is mapped.
    Huge = 1,
    /// As `Huge`, while a split is on its way (`pmd_trans_splitting`).
    Splitting = 2,
    /// A table of ptes.
    Table = 3,
    /// The huge zero page is mapped.
    HugeZero = 4,
    /// Nothing is present, and a huge page will be mapped again.
    Migration = 5,
}

impl Pmd {
    /// All states, in the order of their numbers.
    pub const ALL: [Pmd; 6] = [
        Pmd::None,
        Pmd::Huge,
        Pmd::Splitting,
        Pmd::Table,
        Pmd::HugeZero,
        Pmd::Migration,
    ];

    /// The name that drawings use.
    pub fn name(self) -> &'static str {
        match self {
            Pmd::None => "none",
            Pmd::Huge => "huge",
            Pmd::Splitting => "splitting",
            Pmd::Table => "table",
            Pmd::HugeZero => "huge zero page",
            Pmd::Migration => "migration entry",
        }
    }
}

/// What a region of memory is made of at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RegionKind {
    /// One transparent huge page.
    Thp,
    /// One transparent huge page of a file: its huge entry is not split but cleared.
    FileThp,
    /// Two large folios of half a huge page each, mapped by ptes.
    Large,
    /// Small pages.
    Small,
    /// The huge zero page: addresses without pages of their own.
    HugeZero,
}

/// A run of addresses that one page table (or one huge entry) maps.
///
/// Addresses and base pages are numbered alike: address `a` maps page `a`, in every address space,
/// unless a spare frame has taken its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region {
    /// What it is made of.
    pub kind: RegionKind,
    /// The first page; the head, for a huge page.
    pub start: u16,
    /// The length in base pages.
    pub len: u16,
    /// For *spare* frames: the region whose addresses they can come to be mapped at.
    /// Nobody maps them at the start; migration, copy on write and collapse put them in the place of
    /// the frames that were there.
    pub home: Option<u16>,
}

impl Region {
    /// Base pages per folio at the start.
    pub fn folio_pages(&self) -> u16 {
        match self.kind {
            RegionKind::Thp | RegionKind::FileThp => self.len,
            RegionKind::Large => self.len / 2,
            RegionKind::Small | RegionKind::HugeZero => 1,
        }
    }

    /// Whether `page` is the first of a folio at the start.
    pub fn is_head(&self, page: u16) -> bool {
        (page - self.start).is_multiple_of(self.folio_pages())
    }

    /// The pages of the region.
    pub fn pages(&self) -> Range<u16> {
        self.start..self.start + self.len
    }
}

/// What a scenario is played on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct World {
    /// The regions, ascending, each at a multiple of `thp_pages`; a smaller one leaves a gap that
    /// belongs to it.
    pub regions: Vec<Region>,
    /// The number of address spaces.
    pub mms: u8,
    /// Base pages per transparent huge page.
    pub thp_pages: u16,
    /// The CPUs, counted from 0, that have a page vector on the way to the lists; 0 if all have been
    /// drained for good.
    pub lru_add_cpus: u8,
    /// How many pages a CPU's batch takes before it must be seen to.
    pub batch: u16,
}

/// The batches of small worlds: the least that defers anything. Real ones take 15 to 31 pages.
pub const SMALL_BATCH: u16 = 2;

impl World {
    /// The number of base pages.
    pub fn pages(&self) -> u16 {
        self.regions.last().map_or(0, |r| r.start + r.len)
    }

    /// Whether the huge pages are files'.
    pub fn is_of_files(&self) -> bool {
        self.regions.iter().any(|r| r.kind == RegionKind::FileThp)
    }

    /// Base pages per large folio that is smaller than a huge page.
    pub fn large_pages(&self) -> u16 {
        self.thp_pages / 2
    }

    /// The region that holds `page`; the last one, past the end.
    pub fn region_of(&self, page: u16) -> usize {
        self.regions
            .partition_point(|r| r.start <= page)
            .saturating_sub(1)
    }

    /// The regions of spare frames for the addresses of `region`.
    pub fn spares_of(&self, region: u16) -> impl Iterator<Item = u16> + '_ {
        let spare = move |r: &Region| r.home == Some(region);
        (0..)
            .zip(&self.regions)
            .filter(move |(_, r)| spare(r))
            .map(|(i, _)| i)
    }

    /// Whether any address can come to be mapped by another frame.
    pub fn has_spares(&self) -> bool {
        self.regions.iter().any(|r| r.home.is_some())
    }

    /// The region whose addresses the frames of `region` are mapped at.
    pub fn home_of(&self, region: u16) -> u16 {
        let found = self.regions.get(usize::from(region));
        found.and_then(|r| r.home).unwrap_or(region)
    }

    /// The address that `page` is mapped at, wherever it is mapped.
    pub fn address_of(&self, page: u16) -> u16 {
        let region = self.region_of(page);
        let start = |i: usize| self.regions.get(i).map_or(0, |r| r.start);
        let home = usize::from(self.home_of(region as u16));
        page.saturating_sub(start(region)) + start(home)
    }

    /// The frames that can be mapped at `address`: its own, and the spare ones.
    pub fn frames_at(&self, address: u16) -> impl Iterator<Item = u16> + '_ {
        let region = self.region_of(address) as u16;
        let offset = address - self.regions.get(usize::from(region)).map_or(0, |r| r.start);
        let at = move |i: u16| {
            let region = self.regions.get(usize::from(i));
            region.filter(|r| offset < r.len).map(|r| r.start + offset)
        };
        std::iter::once(region)
            .chain(self.spares_of(region))
            .filter_map(at)
    }
}

/// A range of addresses of one address space, in base pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// The address space.
    pub mm: u8,
    /// The addresses.
    pub pages: Range<u16>,
}

/// The memory a scenario starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The address spaces.
    pub mms: Vec<MmMemory>,
    /// Pages with `PG_mlocked`; for a huge page, its head.
    pub mlocked: Vec<u16>,
    /// The statistic, in base pages.
    pub nr_mlock: i64,
    /// Pages on the way to a list, each with the CPU whose page vector it is in.
    pub lru_add: Vec<(u8, u16)>,
}

/// What one address space maps at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MmMemory {
    /// Indices of the mapped regions.
    pub maps: Vec<usize>,
    /// Address ranges with `VM_LOCKED`.
    pub locked: Vec<Range<u16>>,
}
