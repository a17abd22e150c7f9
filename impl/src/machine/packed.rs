//! Numbers and planes of bits, packed into the words of a state.
//!
//! A [`Field`] is a number within one word; a [`Plane`] is one bit per base page, within one word if
//! it fits and in words of its own otherwise.

use super::interval::Interval;

/// A signed number of fixed width within one word of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    word: u16,
    shift: u8,
    /// As many bits as it has.
    mask: u64,
    min: i64,
}

impl Field {
    /// The value in `state`.
    #[inline]
    pub fn get(self, state: &[u64]) -> i64 {
        ((state[usize::from(self.word)] >> self.shift) & self.mask) as i64 + self.min
    }

    /// Stores a value; tells whether it fits.
    #[inline]
    #[must_use]
    pub fn set(self, state: &mut [u64], value: i64) -> bool {
        let raw = value.wrapping_sub(self.min) as u64;
        if raw > self.mask {
            return false;
        }
        let word = &mut state[usize::from(self.word)];
        *word = *word & !(self.mask << self.shift) | raw << self.shift;
        true
    }

    /// What fits into the field.
    pub(super) fn range(self) -> Interval {
        Interval {
            least: self.min,
            most: self.min.saturating_add_unsigned(self.mask),
        }
    }

    /// Exchanges what is in this field and in another with the same range.
    pub fn exchange(self, other: Field, state: &mut [u64]) {
        let (mine, theirs) = (self.get(state), other.get(state));
        let _fit = self.set(state, theirs) && other.set(state, mine);
    }

    /// Sets every bit of the field.
    pub fn fill(self, state: &mut [u64]) {
        let (word, bits) = self.place();
        state[word] |= bits;
    }

    /// Its word, and its bits there.
    pub(super) fn place(self) -> (usize, u64) {
        (usize::from(self.word), self.mask << self.shift)
    }

    /// The bits of its word for a value that fits.
    pub(super) fn bits_of(self, value: i64) -> u64 {
        (value.wrapping_sub(self.min) as u64 & self.mask) << self.shift
    }
}

/// One bit per base page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    word: u16,
    shift: u8,
    pages: u16,
}

impl Plane {
    /// The bit of `page`; false past the end.
    #[inline]
    pub fn get(self, state: &[u64], page: u16) -> bool {
        if page >= self.pages {
            return false;
        }
        let (word, bit) = self.place(page);
        state[word] >> bit & 1 == 1
    }

    /// Stores the bit of `page`; nothing past the end.
    #[inline]
    pub fn set(self, state: &mut [u64], page: u16, value: bool) {
        if page < self.pages {
            let (word, bit) = self.place(page);
            state[word] = state[word] & !(1 << bit) | u64::from(value) << bit;
        }
    }

    /// The first page from `from` on whose bit is set; the number of pages if there is none.
    pub fn next(self, state: &[u64], from: u16) -> u16 {
        (from..self.pages)
            .find(|&page| self.get(state, page))
            .unwrap_or(self.pages)
    }

    /// How many bits are set.
    pub fn count(self, state: &[u64]) -> i64 {
        self.words(state)
            .map(|word| i64::from(word.count_ones()))
            .sum()
    }

    /// The bits, 64 pages a word, from page 0 on.
    pub fn words(self, state: &[u64]) -> impl Iterator<Item = u64> + '_ {
        let count = usize::from(self.pages).div_ceil(64);
        let mask = if self.pages >= 64 {
            u64::MAX
        } else {
            (1 << self.pages) - 1
        };
        let from = usize::from(self.word);
        state[from..from + count]
            .iter()
            .map(move |word| word >> self.shift & mask)
    }

    /// The pages whose bits are set.
    pub(super) fn each(self, state: &[u64]) -> impl Iterator<Item = u16> + '_ {
        let first = self.next(state, 0);
        let pages =
            std::iter::successors(Some(first), move |page| Some(self.next(state, page + 1)));
        pages.take_while(move |&page| page < self.pages)
    }

    /// Whether the bits of all pages from `from` up to `to` are set.
    pub(super) fn all(self, state: &[u64], from: u16, to: u16) -> bool {
        self.all_are(true, state, from, to)
    }

    /// Whether no bit of the pages from `from` up to `to` is set.
    pub(super) fn none(self, state: &[u64], from: u16, to: u16) -> bool {
        self.all_are(false, state, from, to)
    }

    fn all_are(self, set: bool, state: &[u64], mut from: u16, to: u16) -> bool {
        let to = to.min(self.pages);
        while from < to {
            let (word, bit) = self.place(from);
            let count = (64 - bit).min(u32::from(to - from));
            let as_wanted = if set { state[word] } else { !state[word] };
            if (as_wanted >> bit).trailing_ones() < count {
                return false;
            }
            from += count as u16;
        }
        true
    }

    /// The first page from `from` on whose bit is not set; the number of pages if there is none.
    pub fn next_clear(self, state: &[u64], mut from: u16) -> u16 {
        while from < self.pages {
            let (word, bit) = self.place(from);
            let rest = !state[word] >> bit;
            if rest != 0 {
                return (from + rest.trailing_zeros() as u16).min(self.pages);
            }
            from += 64 - bit as u16;
        }
        self.pages
    }

    /// The last page up to `from` whose bit is not set; page 0 if there is none.
    pub(super) fn last_clear(self, state: &[u64], from: u16) -> u16 {
        let mut page = from.min(self.pages.saturating_sub(1));
        loop {
            let (word, bit) = self.place(page);
            let rest = !state[word] << (63 - bit);
            let run = rest.leading_zeros() as u16;
            if rest != 0 || u32::from(page) <= bit {
                return page.saturating_sub(run);
            }
            page -= bit as u16 + 1;
        }
    }

    /// Sets every bit of the plane.
    pub(super) fn fill(self, state: &mut [u64]) {
        for page in 0..self.pages {
            self.set(state, page, true);
        }
    }

    #[inline]
    fn place(self, page: u16) -> (usize, u32) {
        let bit = u32::from(self.shift) + u32::from(page);
        (usize::from(self.word) + (bit / 64) as usize, bit % 64)
    }
}

/// Puts fields and planes into words: those of one owner side by side, each into the first one with
/// room.
///
/// Everything is packed twice, in the same order: the first time to see how many words each owner
/// needs, the second time for good.
pub(super) struct Packer {
    /// For what belongs to nobody, then for each owner, the bits in use of each word.
    used: Vec<Vec<u8>>,
    /// Where the words of each begin, once that is known; at last their end.
    begin: Vec<usize>,
    owner: usize,
}

impl Packer {
    /// For this many owners, and what belongs to none.
    pub(super) fn new(owners: usize) -> Packer {
        Packer {
            used: vec![Vec::new(); owners + 1],
            begin: vec![0; owners + 2],
            owner: 0,
        }
    }

    /// Packs everything once more, for good.
    pub(super) fn again(&mut self) {
        if self.used.iter().all(Vec::is_empty) {
            // Variables with one value only are read somewhere, too.
            self.used[0].push(0);
        }
        let mut end = 0;
        for (used, begin) in self.used.iter_mut().zip(&mut self.begin) {
            *begin = end;
            end += used.len();
            used.clear();
        }
        if let Some(last) = self.begin.last_mut() {
            *last = end;
        }
    }

    /// What is packed next belongs to this one.
    pub(super) fn of(&mut self, owner: Option<usize>) -> &mut Packer {
        self.owner = owner.map_or(0, |owner| owner + 1);
        self
    }

    pub(super) fn field(&mut self, range: std::ops::RangeInclusive<i64>) -> Field {
        let span = range.end().abs_diff(*range.start());
        let width = (64 - span.leading_zeros()) as u8;
        let (word, shift) = if width == 0 { (0, 0) } else { self.room(width) };
        Field {
            word,
            shift,
            mask: u64::MAX.checked_shr(64 - u32::from(width)).unwrap_or(0),
            min: *range.start(),
        }
    }

    pub(super) fn plane(&mut self, pages: u16) -> Plane {
        let (word, shift) = match pages {
            0 => (0, 0),
            1..=64 => self.room(pages as u8),
            _ => {
                let used = &mut self.used[self.owner];
                let word = self.begin[self.owner] + used.len();
                used.extend(std::iter::repeat_n(64, usize::from(pages).div_ceil(64)));
                (word as u16, 0)
            }
        };
        Plane { word, shift, pages }
    }

    fn room(&mut self, width: u8) -> (u16, u8) {
        let used = &mut self.used[self.owner];
        let room = |used: &u8| used + width <= 64;
        let word = used.iter().position(room).unwrap_or_else(|| {
            used.push(0);
            used.len() - 1
        });
        let shift = used[word];
        used[word] += width;
        let word = self.begin[self.owner] + word;
        (word as u16, shift)
    }

    /// All words, once that is known.
    pub(super) fn words(&self) -> usize {
        self.begin.last().copied().unwrap_or(0)
    }

    /// How many words belong to nobody, then how many to each owner, once that is known.
    pub(super) fn blocks(&self) -> Vec<usize> {
        self.begin.windows(2).map(|two| two[1] - two[0]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::TestResult;

    #[test]
    fn what_is_packed_is_unpacked_and_nothing_else_changes() {
        fn holds(fields: Vec<(i32, u16)>, planes: Vec<u16>, picks: Vec<(u8, u32)>) -> TestResult {
            let planes: Vec<u16> = planes.into_iter().map(|p| 1 + p % 200).take(4).collect();
            if fields.is_empty() || fields.len() > 20 {
                return TestResult::discard();
            }
            let mut packer = Packer::new(2);
            let pack = |packer: &mut Packer| {
                // One after the other belongs to nobody, to the first, to the second.
                let mut owners = [None, Some(0), Some(1)].into_iter().cycle();
                let mut owner = || owners.next().flatten();
                let placed: Vec<(Field, i64, i64)> = fields
                    .iter()
                    .map(|&(min, span)| {
                        let (min, max) = (i64::from(min), i64::from(min) + i64::from(span));
                        (packer.of(owner()).field(min..=max), min, max)
                    })
                    .collect();
                let plane = |&pages| packer.of(owner()).plane(pages);
                (placed, planes.iter().map(plane).collect::<Vec<Plane>>())
            };
            pack(&mut packer);
            packer.again();
            let (placed, bits) = pack(&mut packer);
            assert_eq!(packer.blocks().iter().sum::<usize>(), packer.words());
            let mut state = vec![0; packer.words()];
            let mut numbers: Vec<i64> =
                placed.iter().map(|(field, ..)| field.get(&state)).collect();
            let mut marks: Vec<Vec<bool>> = planes
                .iter()
                .map(|&pages| vec![false; usize::from(pages)])
                .collect();
            for (which, value) in picks {
                let which = usize::from(which) % (placed.len() + bits.len());
                if let Some((field, min, max)) = placed.get(which) {
                    let value = min + i64::from(value) % (max - min + 1);
                    assert!(field.set(&mut state, value));
                    numbers[which] = value;
                } else {
                    let which = which - placed.len();
                    let page = value as usize % marks[which].len();
                    bits[which].set(&mut state, page as u16, value % 3 > 0);
                    marks[which][page] = value % 3 > 0;
                }
            }
            let same = placed
                .iter()
                .zip(&numbers)
                .all(|((f, ..), n)| f.get(&state) == *n);
            let as_set = bits.iter().zip(&marks).all(|(plane, marks)| {
                (0..).zip(marks).all(|(page, mark)| {
                    let from = usize::from(page);
                    let next = marks[from..].iter().position(|mark| !mark);
                    let last = marks[..=from].iter().rposition(|mark| !mark);
                    plane.get(&state, page) == *mark
                        && plane.next_clear(&state, page)
                            == next.map_or(marks.len(), |n| from + n) as u16
                        && plane.last_clear(&state, page) == last.unwrap_or(0) as u16
                })
            });
            TestResult::from_bool(same && as_set)
        }
        quickcheck::quickcheck(
            holds as fn(Vec<(i32, u16)>, Vec<u16>, Vec<(u8, u32)>) -> TestResult,
        );
    }

    #[test]
    fn what_does_not_fit_is_told_and_changes_nothing() {
        fn holds(min: i32, span: u16, value: i64) -> bool {
            let mut packer = Packer::new(0);
            packer.field(i64::from(min)..=i64::from(min) + i64::from(span));
            packer.again();
            let field = packer.field(i64::from(min)..=i64::from(min) + i64::from(span));
            let mut state = vec![0; packer.words().max(1)];
            let before = field.get(&state);
            let fits = field.set(&mut state, value);
            field.get(&state) == if fits { value } else { before }
        }
        quickcheck::quickcheck(holds as fn(i32, u16, i64) -> bool);
    }
}
