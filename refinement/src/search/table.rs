//! Sets of fixed-width keys, numbered in the order of their arrival: a list of the keys, and a flat
//! open-addressed table of their numbers.

/// What hashes start from: any odd number with its bits well mixed.
const START: u64 = 0x9e37_79b9_7f4a_7c15;

/// Multiplies and folds, so that every bit of the input reaches every bit of the output.
pub(super) fn mix(word: u64) -> u64 {
    let product = u128::from(word).wrapping_mul(0xa076_1d64_78bd_642f_e703_7ed1_a0b4_28db);
    (product >> 64) as u64 ^ product as u64
}

/// Makes room at the end of a list that may become long: it grows by an eighth, not to twice its size.
pub(super) fn make_room<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(list.len() / 8 + more.max(64));
    }
}

/// Where the numbers of keys are found: four bytes each, at most four fifths of them in use.
///
/// What a number leaves free of its four bytes holds bits of the key's hash, so that few keys are
/// looked at in vain.
#[derive(Debug)]
pub(super) struct Slots {
    /// Some bits of the hash, then number + 1; or 0. A power of two of them.
    slots: Vec<u32>,
    used: usize,
}

impl Slots {
    pub(super) fn new() -> Slots {
        Slots {
            slots: vec![0; 16],
            used: 0,
        }
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u32>()
    }

    /// The number in the first slot that is looked at, be it the right one or not.
    pub(super) fn touch(&self, hash: u64) -> Option<u32> {
        let slot = self.slots[self.first(hash)];
        (slot & (self.slots.len() - 1) as u32).checked_sub(1)
    }

    /// The number with this hash of which `is` holds.
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.place(hash, is).ok()
    }

    /// The number with this hash of which `is` holds; if there is none, the next one goes in.
    /// Tells whether it is new.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        is: impl Fn(u32) -> bool,
        rehash: impl Fn(u32) -> u64,
    ) -> (u32, bool) {
        match self.place(hash, is) {
            Ok(number) => (number, false),
            Err(place) => {
                let number = self.used as u32;
                self.slots[place] = self.slot(hash, number);
                self.used += 1;
                if self.used * 5 > self.slots.len() * 4 {
                    self.grow(number, hash, rehash);
                }
                (number, true)
            }
        }
    }

    /// The number, or the empty slot where it would go.
    fn place(&self, hash: u64, is: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let tag = self.slot(hash, 0) & !(mask as u32);
        let mut place = self.first(hash);
        loop {
            let slot = self.slots[place];
            if slot == 0 {
                return Err(place);
            }
            if slot & !(mask as u32) == tag {
                let number = (slot & mask as u32) - 1;
                if is(number) {
                    return Ok(number);
                }
            }
            place = (place + 1) & mask;
        }
    }

    /// A slot with a number; those in use are always less than there are slots.
    fn slot(&self, hash: u64, number: u32) -> u32 {
        let mask = (self.slots.len() - 1) as u32;
        hash as u32 & !mask | (number + 1)
    }

    fn first(&self, hash: u64) -> usize {
        (hash >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    /// Makes room; the hash of the newest number is given, as its key may not be in place yet.
    fn grow(&mut self, newest: u32, hash: u64, rehash: impl Fn(u32) -> u64) {
        self.slots = vec![0; self.slots.len() * 2];
        for number in 0..self.used as u32 {
            let hash = if number == newest {
                hash
            } else {
                rehash(number)
            };
            if let Err(place) = self.place(hash, |_| false) {
                self.slots[place] = self.slot(hash, number);
            }
        }
    }
}

/// The set of pairs of numbers.
#[derive(Debug)]
pub(super) struct Pairs {
    pairs: Vec<(u32, u32)>,
    slots: Slots,
}

impl Pairs {
    pub(super) fn new() -> Pairs {
        Pairs {
            pairs: Vec::new(),
            slots: Slots::new(),
        }
    }

    pub(super) fn get(&self, number: u32) -> (u32, u32) {
        self.pairs[number as usize]
    }

    /// The number of `pair`, if it is there.
    pub(super) fn find(&self, pair: (u32, u32)) -> Option<u32> {
        let is = |number| self.get(number) == pair;
        self.slots.find(spread_pair(pair.0, pair.1), is)
    }

    /// The number of `pair`, which is added if it is not there.
    pub(super) fn insert(&mut self, pair: (u32, u32)) -> u32 {
        let pairs = &self.pairs;
        let spread = |(left, right)| spread_pair(left, right);
        let (number, new) = self.slots.insert(
            spread(pair),
            |number| pairs[number as usize] == pair,
            |number| spread(pairs[number as usize]),
        );
        if new {
            make_room(&mut self.pairs, 1);
            self.pairs.push(pair);
        }
        number
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.pairs.capacity() * size_of::<(u32, u32)>() + self.slots.bytes()
    }
}

/// A hash of two numbers.
#[inline]
pub(super) fn spread_pair(left: u32, right: u32) -> u64 {
    mix((u64::from(left) << 32 | u64::from(right)) ^ START)
}

/// The set of rows of words; one that is shorter than others ends in zeros.
#[derive(Debug)]
pub(super) struct Rows {
    width: usize,
    words: Vec<u64>,
    slots: Slots,
}

impl Rows {
    /// For rows of this many words.
    pub(super) fn new(width: usize) -> Rows {
        Rows {
            width,
            words: Vec::new(),
            slots: Slots::new(),
        }
    }

    pub(super) fn get(&self, number: u32) -> &[u64] {
        row(&self.words, self.width, number)
    }

    /// The number of `row`, if it is there.
    pub(super) fn find(&self, row: &[u64]) -> Option<u32> {
        let is = |number| same(self.get(number), row);
        self.slots.find(hash(row), is)
    }

    /// The number of `row`, which is added if it is not there.
    pub(super) fn insert(&mut self, new: &[u64]) -> u32 {
        let (words, width) = (&self.words, self.width);
        let (number, is_new) = self.slots.insert(
            hash(new),
            |number| same(row(words, width, number), new),
            |number| hash(row(words, width, number)),
        );
        if is_new {
            make_room(&mut self.words, self.width);
            self.words.extend_from_slice(new);
            let end = (number as usize + 1) * self.width;
            self.words.resize(end, 0);
        }
        number
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>() + self.slots.bytes()
    }
}

fn row(words: &[u64], width: usize, number: u32) -> &[u64] {
    let at = number as usize * width;
    &words[at..at + width]
}

/// Whether a row is another one, which may be shorter.
fn same(row: &[u64], other: &[u64]) -> bool {
    let (begin, rest) = row.split_at(other.len());
    let differs = begin.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    rest.iter().fold(differs, |all, word| all | word) == 0
}

/// A hash of some words; zeros at the end make no difference.
pub(super) fn hash(words: &[u64]) -> u64 {
    let words = words.iter().rev().skip_while(|word| **word == 0);
    words.fold(START, |hash, word| mix(hash ^ word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_keeps_the_number_it_got() {
        let mut pairs = Pairs::new();
        let pair = |i: u32| (i.wrapping_mul(i), i / 3);
        for i in 0..10_000 {
            assert_eq!(pairs.find(pair(i)), None);
            assert_eq!(pairs.insert(pair(i)), i);
        }
        for i in 0..10_000 {
            assert_eq!(pairs.insert(pair(i)), i);
            assert_eq!(pairs.find(pair(i)), Some(i));
            assert_eq!(pairs.get(i), pair(i));
        }
    }

    #[test]
    fn a_row_keeps_the_number_it_got_with_zeros_at_its_end_or_without() {
        let mut rows = Rows::new(3);
        let row = |i: u64| [i * i, i % 3, u64::from(i.is_multiple_of(7)) * i];
        for i in 0..10_000_u32 {
            assert_eq!(rows.find(&row(i.into())), None);
            assert_eq!(rows.insert(&row(i.into())), i);
        }
        for i in 0..10_000_u32 {
            let row = row(i.into());
            assert_eq!(rows.insert(&row), i);
            assert_eq!(rows.get(i), row);
            let short = if row[2] == 0 { &row[..2] } else { &row };
            assert_eq!(rows.find(short), Some(i));
        }
        assert_eq!(rows.find(&[2, 2, 2]), None);
    }

    #[test]
    fn a_shorter_row_is_the_one_with_zeros_behind_it_and_no_other() {
        assert!(same(&[1, 2, 0], &[1, 2]));
        assert!(!same(&[1, 2, 3], &[1, 2]));
        assert!(!same(&[1, 3, 0], &[1, 2]));
    }
}
