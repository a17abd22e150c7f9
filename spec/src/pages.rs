//! Sets of base pages.
//!
//! A page is a number counted from 0; a set is a string of bits, lowest page first.
//! Two equal sets are equal words, so that sets can be hashed and compared as they are.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::text::{ParseError, serde_as_text, split_trim};

const WORD_BITS: usize = u64::BITS as usize;

/// A set of base pages, written `{0-3, 7}`.
///
/// The words are kept canonical: the last one is never zero. Sets of the first 64 pages need no memory.
///
/// ```
/// use mlock_spec::PageSet;
///
/// let pages: PageSet = "{0-3, 7}".parse()?;
/// assert_eq!(pages.len(), 5);
/// assert_eq!(pages.difference(&PageSet::range(1..4)).to_string(), "{0, 7}");
/// # Ok::<(), mlock_spec::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PageSet {
    /// The first word.
    first: u64,
    /// The words behind it; the last one is not zero.
    more: Vec<u64>,
}

impl PageSet {
    /// The highest page number that the text form may name, so that a slip of the pen cannot ask for gigabytes.
    pub const LAST_IN_TEXT: usize = (1 << 20) - 1;

    /// Builds the empty set.
    pub const fn new() -> Self {
        PageSet {
            first: 0,
            more: Vec::new(),
        }
    }

    /// Builds the set of all pages in `range`.
    pub fn range(range: Range<usize>) -> Self {
        let mut pages = PageSet::new();
        pages.insert_range(range);
        pages
    }

    /// Builds the set from its words, 64 pages each, lowest page first; trailing zero words are dropped.
    pub fn from_words(words: impl IntoIterator<Item = u64>) -> Self {
        let mut words = words.into_iter();
        let mut pages = PageSet {
            first: words.next().unwrap_or(0),
            more: words.collect(),
        };
        pages.trim();
        pages
    }

    /// Returns the words, 64 pages each, lowest page first; none behind the last one that is not zero.
    pub fn words(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        (0..self.count()).map(|index| self.word(index))
    }

    /// Adds `page` and says whether it is new.
    pub fn insert(&mut self, page: usize) -> bool {
        let new = !self.contains(page);
        self.insert_range(page..page + 1);
        new
    }

    /// Adds all pages in `range`.
    pub fn insert_range(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let needed = range.end.div_ceil(WORD_BITS);
        if self.more.len() + 1 < needed {
            self.more.resize(needed - 1, 0);
        }
        for index in range.start / WORD_BITS..needed {
            if let Some(word) = self.word_mut(index) {
                *word |= word_mask(index, &range);
            }
        }
    }

    /// Removes `page` and says whether it was there.
    pub fn remove(&mut self, page: usize) -> bool {
        let present = self.contains(page);
        if let Some(word) = self.word_mut(page / WORD_BITS) {
            *word &= !(1 << (page % WORD_BITS));
        }
        self.trim();
        present
    }

    /// Says whether `page` is in the set.
    pub fn contains(&self, page: usize) -> bool {
        self.word(page / WORD_BITS) & (1 << (page % WORD_BITS)) != 0
    }

    /// Returns the number of pages.
    pub fn len(&self) -> usize {
        self.words().map(|word| word.count_ones() as usize).sum()
    }

    /// Says whether the set has no page.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Says whether every page is also in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        (0..self.count()).all(|index| self.word(index) & !other.word(index) == 0)
    }

    /// Says whether no page is also in `other`.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.words()
            .zip(other.words())
            .all(|(left, right)| left & right == 0)
    }

    /// Returns the pages that are in either set.
    pub fn union(&self, other: &Self) -> Self {
        self.zip_words(other, |left, right| left | right)
    }

    /// Returns the pages that are in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        self.zip_words(other, |left, right| left & right)
    }

    /// Returns the pages that are in this set and not in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        self.zip_words(other, |left, right| left & !right)
    }

    /// Returns the pages in rising order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.first(), |&page| self.next_from(page + 1))
    }

    /// Returns the maximal runs of neighbouring pages in rising order.
    pub fn runs(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        std::iter::successors(self.run_from(0), |run| self.run_from(run.end))
    }

    /// Returns the lowest page.
    pub fn first(&self) -> Option<usize> {
        self.next_from(0)
    }

    /// Returns the highest page.
    pub fn last(&self) -> Option<usize> {
        self.last_up_to(usize::MAX)
    }

    /// Returns the lowest page that is not below `page`.
    pub fn next_from(&self, page: usize) -> Option<usize> {
        let from = page..usize::MAX;
        (page / WORD_BITS..self.count()).find_map(|index| {
            let word = self.word(index) & word_mask(index, &from);
            (word != 0).then(|| index * WORD_BITS + word.trailing_zeros() as usize)
        })
    }

    /// Returns the highest page that is not above `page`.
    pub fn last_up_to(&self, page: usize) -> Option<usize> {
        let up_to = 0..page.saturating_add(1);
        (0..self.count()).rev().find_map(|index| {
            let word = self.word(index) & word_mask(index, &up_to);
            (word != 0).then(|| index * WORD_BITS + word.ilog2() as usize)
        })
    }

    fn run_from(&self, page: usize) -> Option<Range<usize>> {
        let start = self.next_from(page)?;
        let from = start..usize::MAX;
        let mut behind = (start / WORD_BITS..).filter_map(|index| {
            let missing = !self.word(index) & word_mask(index, &from);
            (missing != 0).then(|| index * WORD_BITS + missing.trailing_zeros() as usize)
        });
        Some(start..behind.next()?)
    }

    /// How many words there are up to the last one that is not zero.
    fn count(&self) -> usize {
        match self.more.len() {
            0 => usize::from(self.first != 0),
            more => more + 1,
        }
    }

    fn word(&self, index: usize) -> u64 {
        match index.checked_sub(1) {
            None => self.first,
            Some(index) => self.more.get(index).copied().unwrap_or(0),
        }
    }

    fn word_mut(&mut self, index: usize) -> Option<&mut u64> {
        match index.checked_sub(1) {
            None => Some(&mut self.first),
            Some(index) => self.more.get_mut(index),
        }
    }

    fn zip_words(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let length = self.count().max(other.count());
        PageSet::from_words((0..length).map(|index| combine(self.word(index), other.word(index))))
    }

    fn trim(&mut self) {
        while self.more.last() == Some(&0) {
            self.more.pop();
        }
    }
}

/// Returns the bits of word `index` that lie in `range`.
fn word_mask(index: usize, range: &Range<usize>) -> u64 {
    let start = index * WORD_BITS;
    below(range.end.saturating_sub(start)) & !below(range.start.saturating_sub(start))
}

/// Returns a word with its lowest `bits` bits set, all of them from 64 on.
fn below(bits: usize) -> u64 {
    if bits < WORD_BITS {
        (1 << bits) - 1
    } else {
        u64::MAX
    }
}

impl FromIterator<usize> for PageSet {
    fn from_iter<I: IntoIterator<Item = usize>>(pages: I) -> Self {
        let mut set = PageSet::new();
        for page in pages {
            set.insert(page);
        }
        set
    }
}

impl fmt::Display for PageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs: Vec<String> = self.runs().map(|run| run_text(&run)).collect();
        write!(f, "{{{}}}", runs.join(", "))
    }
}

impl fmt::Debug for PageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PageSet {
    type Err = ParseError;

    /// Reads `{0-3, 7}`; the runs may come in any order.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_set(text).ok_or_else(|| ParseError::new("a set of pages such as {0-3, 7}", text))
    }
}

fn parse_set(text: &str) -> Option<PageSet> {
    let inside = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut pages = PageSet::new();
    if inside.is_empty() {
        return Some(pages);
    }
    for run in inside.split(',') {
        pages.insert_range(parse_run(run)?);
    }
    Some(pages)
}

/// Writes a run of pages by its first and last page: `0-3`, or `7` for a single page.
pub(crate) fn run_text(run: &Range<usize>) -> String {
    match run.len() {
        1 => run.start.to_string(),
        _ => format!("{}-{}", run.start, run.end.saturating_sub(1)),
    }
}

/// Reads a run of pages that [`run_text`] wrote.
pub(crate) fn parse_run(text: &str) -> Option<Range<usize>> {
    let text = text.trim();
    let (first, last) = split_trim(text, "-").unwrap_or((text, text));
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last <= PageSet::LAST_IN_TEXT).then(|| first..last + 1)
}

serde_as_text!(PageSet);
