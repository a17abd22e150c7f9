//! Folios: which base pages move together.

use std::fmt;
use std::iter::successors;
use std::ops::Range;
use std::str::FromStr;

use crate::pages::{PageSet, parse_run, run_text};
use crate::text::{ParseError, serde_as_text};

/// A partition of base pages `0..n` into folios, written `[0-3][4][5]`.
///
/// A folio is a run of neighbouring base pages with one mlocked mark between them.
/// The partition is held by the folios' first pages, the *heads*; page 0 always is one.
///
/// ```
/// use mlock_spec::{Folios, PageSet};
///
/// let folios: Folios = "[0-3][4][5]".parse()?;
/// assert_eq!(folios.folio_of(2), 0..4);
/// assert!(folios.is_union_of_folios(&PageSet::range(0..5)));
/// assert_eq!(folios.split_at(&"{2}".parse()?).to_string(), "[0-1][2-3][4][5]");
/// # Ok::<(), mlock_spec::ParseError>(())
/// ```
#[doc(alias = "THP")]
#[doc(alias = "compound_page")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Folios {
    pages: usize,
    heads: PageSet,
}

impl Folios {
    /// Builds the partition of `0..pages` with the given heads; heads outside memory are dropped and page 0 is added.
    pub fn new(pages: usize, heads: PageSet) -> Self {
        let mut heads = heads.intersection(&PageSet::range(0..pages));
        heads.insert_range(0..pages.min(1));
        Folios { pages, heads }
    }

    /// Returns the number of base pages.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Returns the first page of every folio.
    pub fn heads(&self) -> &PageSet {
        &self.heads
    }

    /// Returns the folios in rising order.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let folio_at = |page| (page < self.pages).then(|| self.folio_of(page));
        successors(folio_at(0), move |folio| folio_at(folio.end))
    }

    /// Returns the folio that `page` belongs to, an empty range if `page` is outside memory.
    pub fn folio_of(&self, page: usize) -> Range<usize> {
        match self.heads.last_up_to(page) {
            Some(head) if page < self.pages => {
                head..self.heads.next_from(page + 1).unwrap_or(self.pages)
            }
            _ => self.pages..self.pages,
        }
    }

    /// Returns all pages of the folios that have a page in `pages`.
    pub fn covering(&self, pages: &PageSet) -> PageSet {
        let mut cover = PageSet::new();
        for run in pages.runs() {
            // Neighbours in `pages` are in one folio or in neighbouring ones.
            let (first, last) = (self.folio_of(run.start), self.folio_of(run.end - 1));
            cover.insert_range(first.start..last.end);
        }
        cover
    }

    /// Says whether `pages` takes every folio whole or not at all.
    pub fn is_union_of_folios(&self, pages: &PageSet) -> bool {
        self.covering(pages) == *pages
    }

    /// Returns the partition with further heads.
    #[must_use]
    pub fn split_at(&self, heads: &PageSet) -> Folios {
        Folios::new(self.pages, self.heads.union(heads))
    }

    /// Returns the partition in which all folios that have a page in `range` are one.
    #[must_use]
    pub fn merge(&self, range: Range<usize>) -> Folios {
        let tails = PageSet::range(range.start.saturating_add(1)..range.end);
        Folios::new(self.pages, self.heads.difference(&tails))
    }
}

impl fmt::Display for Folios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter()
            .try_for_each(|folio| write!(f, "[{}]", run_text(&folio)))
    }
}

impl fmt::Debug for Folios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Folios {
    type Err = ParseError;

    /// Reads `[0-3][4][5]`; the folios must follow each other from page 0 without a gap.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_folios(text).ok_or_else(|| {
            ParseError::new("a row of folios from page 0 on, such as [0-3][4][5]", text)
        })
    }
}

fn parse_folios(text: &str) -> Option<Folios> {
    let mut rest = text.trim();
    let (mut pages, mut heads) = (0, PageSet::new());
    while !rest.is_empty() {
        let (folio, after) = rest.strip_prefix('[')?.split_once(']')?;
        let folio = parse_run(folio).filter(|folio| folio.start == pages)?;
        heads.insert(folio.start);
        (pages, rest) = (folio.end, after.trim_start());
    }
    Some(Folios::new(pages, heads))
}

serde_as_text!(Folios);
