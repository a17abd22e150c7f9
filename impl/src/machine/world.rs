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
    /// Small pages.
    Small,
    /// The huge zero page: addresses without pages of their own.
    HugeZero,
}

/// A run of addresses that one page table (or one huge entry) maps.
///
/// Addresses and base pages are numbered alike: address `a` maps page `a`, in every address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region {
    /// What it is made of.
    pub kind: RegionKind,
    /// The first page; the head, for a huge page.
    pub start: u16,
    /// The length in base pages.
    pub len: u16,
}

impl Region {
    /// The pages of the region.
    pub fn pages(&self) -> Range<u16> {
        self.start..self.start + self.len
    }
}

/// What a scenario is played on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct World {
    /// The regions, ascending and without gaps.
    pub regions: Vec<Region>,
    /// The number of address spaces.
    pub mms: u8,
    /// Base pages per transparent huge page.
    pub thp_pages: u16,
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

    /// The region that holds `page`; the last one, past the end.
    pub fn region_of(&self, page: u16) -> usize {
        self.regions
            .partition_point(|r| r.start <= page)
            .saturating_sub(1)
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
}

/// What one address space maps at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MmMemory {
    /// Indices of the mapped regions.
    pub maps: Vec<usize>,
    /// Address ranges with `VM_LOCKED`.
    pub locked: Vec<Range<u16>>,
}
