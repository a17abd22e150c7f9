//! The known bugs of mlock accounting since transparent huge pages came, 2.6.38 to today.
//!
//! A fixture names the rows that it shows, or shows to be cured; `mlockcheck list` puts them
//! together.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A row of the table, from `F1` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(u8);

impl Row {
    /// What the row is about.
    pub fn bug(self) -> &'static KnownBug {
        &KNOWN_BUGS[usize::from(self.0) - 1]
    }

    /// All rows.
    pub fn all() -> impl Iterator<Item = Row> {
        (1..=KNOWN_BUGS.len() as u8).map(Row)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "F{}", self.0)
    }
}

impl FromStr for Row {
    type Err = String;

    fn from_str(text: &str) -> Result<Row, String> {
        let number = text.strip_prefix('F').and_then(|n| n.parse::<u8>().ok());
        let row = number.and_then(|n| Row::all().find(|row| row.0 == n));
        let found = row.filter(|row| row.to_string() == text);
        found.ok_or_else(|| format!("`{text}` is no known bug: F1 to F{}", KNOWN_BUGS.len()))
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// One known bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KnownBug {
    /// The kernels that have it, or the proposal.
    pub kernels: &'static str,
    /// What goes wrong.
    pub symptom: &'static str,
    /// What it does to the statistic, in base pages, with P pages per huge page.
    pub effect: &'static str,
    /// The commit or mail that cured it.
    pub fix: &'static str,
}

const fn bug(
    kernels: &'static str,
    symptom: &'static str,
    effect: &'static str,
    fix: &'static str,
) -> KnownBug {
    KnownBug {
        kernels,
        symptom,
        effect,
        fix,
    }
}

/// The table. Sources: commit messages, mails and the sources of the versions named.
#[rustfmt::skip]
pub const KNOWN_BUGS: [KnownBug; 36] = [
    bug("2.6.38-3.6", "a THP counts as one page, and as P after a split", "-P + 1", "8449d21fb49e, b676b293fb48 (v3.7)"),
    bug("3.7-rc", "the last unmap takes one page off for a whole THP", "+P - 1", "folded into e6c509f85455 before the merge"),
    bug("3.7-3.13", "munlock against split, the size still reads P", "-k, k < P", "01cc2e58697e (v3.14)"),
    bug("3.7-3.13", "munlock against split, the size reads 1 already", "+(P - 1 - k)", "01cc2e58697e (v3.14)"),
    bug("3.9-3.13", "tails that got the flag are skipped by the mask", "k pages marked, -k later", "01cc2e58697e (v3.14)"),
    bug("patch v2 3/3 as mailed", "the size is read before the flag is cleared", "-P + 1", "merged in another order (ff6a6da60b89)"),
    bug("patch v2 3/3 as mailed", "a count returned where a mask is expected", "+1 per odd small page", "merged form returns the count less one"),
    bug("claim of Feb 2013", "mlock counts twice across a split", "+P - 1, only if the flag is not copied", "page mask in follow_page (v3.9)"),
    bug("3.12-3.13", "munlock meets a tail: VM_BUG_ON", "0, crash", "c424be1cbbf8 (v3.13)"),
    bug("3.12-3.13", "the last reference is dropped under lru_lock", "0, deadlock", "3b25df93c6e3 (v3.13)"),
    bug("3.12-4.11", "a page that cannot be isolated is cleared and not counted", "+1 per page", "70feee0e1ef3 (v4.12)"),
    bug("4.4-4.5-rc", "a negative count is widened without its sign", "+2^32 each time", "7162a1e87b3e (v4.5)"),
    bug("to 3.14", "reclaim mlocks pages of a nonlinear mapping without their lock", "0, BUG_ON", "57e68e9cd65b (v3.15)"),
    bug("3.7-4.3", "reclaim mlocks after it dropped the PT lock", "+1, bad page", "b87537d9e2fe (v4.4)"),
    bug("3.7-4.3", "a page loses its mark when it migrates", "-1 per page until reclaim", "51afb12ba809 (v4.4)"),
    bug("2.6.28-2.6.37", "copy on write clears the mark while the old page is still mapped", "+1 stranded", "fix race when munlocking pages in do_wp_page() (2.6.38)"),
    bug("2.6.31-rc", "free checks the mark before it clears it", "+1, page lost", "clear first"),
    bug("4.5 as first thought of", "a split gives the mark of a partly munlocked THP to all its pages", "marks wrong, count right", "e90309c9f772: pte-mapped THPs are never mlocked"),
    bug("4.5-4.9", "munlock skips the rest of a THP that is mapped by ptes", "+1 per page copied from it", "655548bf6271 (v4.10)"),
    bug("4.5-4.10", "munlock reuses the mask of another page", "0, VM_BUG_ON", "thp: fix another corner case of munlock() vs. THPs"),
    bug("4.8-5.13", "munlock of a THP forgets the other lockers", "-P until reclaim", "d9770fcc1c0c (v5.14)"),
    bug("5.14-rc", "an early return keeps the PT lock", "0, hang", "023e1a8dd502 (v5.14)"),
    bug("4.8-5.17", "a file THP mapped by a pte once can never be mlocked again", "-P", "bd55b0c2d64e (v5.18)"),
    bug("from 4.5", "a split that fails leaves the THP without its mark", "-P until reclaim", "none: by design"),
    bug("from 5.18", "mlock_count is lost while a folio is off its list", "-P until reclaim", "none: by design"),
    bug("from 5.18", "a folio is stranded on the unevictable list", "0", "none known"),
    bug("proposal of 2023", "clear the mark first, set it again if others lock the folio", "+P", "rejected"),
    bug("5.18-6.11", "a page freed by free_page() keeps its mark", "+1, bad page", "66edc3a5894c (v6.12)"),
    bug("6.7-6.17", "reclaim mlocks a large folio after it dropped the PT lock", "+P until the folio is freed", "fix a mlock race condition in folio_referenced_one() (v6.18)"),
    bug("5.18-6.17", "large folios are not mlocked when they are mapped", "-P until reclaim", "improve mlock tracking for large folios (v6.18)"),
    bug("from 6.7", "one page of a large folio is unmapped and the whole mark goes", "-P, P - 1 pages still locked", "none: by design"),
    bug("5.18, guarded against", "mlock_count goes up twice while mlock walks", "0, marked after munlock", "the VM_IO marker"),
    bug("proposal of Feb 2013", "munlock under the PT lock without a second look", "as F3 and F4", "look again"),
    bug("proposal of Feb 2013", "isolation inside compound_lock", "deadlock", "isolate outside"),
    bug("from 5.18, live", "munlock skips what a split has frozen, the restore keeps the mark", "P pages marked for nobody", "none known"),
    bug("from 5.18, live", "mlock skips what a split has frozen, its marker stops the restore", "P pages not marked", "none known"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back_as_it_prints_and_nothing_else_is_a_row() {
        for row in Row::all() {
            assert_eq!(row.to_string().parse(), Ok(row));
        }
        for text in ["F0", "F37", "F", "3", "F03", "f3", "F999"] {
            assert!(text.parse::<Row>().is_err(), "{text}");
        }
    }
}
