//! A set of fixed-width keys, numbered in the order of their arrival: a list of the keys, and a flat
//! open-addressed table of their numbers.

/// A key of one or two words.
pub(super) trait Key: Copy + Eq + Send + Sync {
    /// Spreads the key over 64 bits; the high ones are the best.
    fn spread(self) -> u64;
}

impl Key for u64 {
    fn spread(self) -> u64 {
        mix(self ^ 0x9e37_79b9_7f4a_7c15)
    }
}

impl Key for (u64, u64) {
    fn spread(self) -> u64 {
        mix(mix(self.0 ^ 0x9e37_79b9_7f4a_7c15) ^ self.1)
    }
}

/// Multiplies and folds, so that every bit of the input reaches every bit of the output.
pub(super) fn mix(word: u64) -> u64 {
    let product = u128::from(word).wrapping_mul(0xa076_1d64_78bd_642f_e703_7ed1_a0b4_28db);
    (product >> 64) as u64 ^ product as u64
}

/// The set.
#[derive(Debug)]
pub(super) struct Table<K> {
    keys: Vec<K>,
    /// Number + 1 of a key, or 0; a power of two of them, at most four fifths in use.
    slots: Vec<u32>,
}

impl<K: Key> Table<K> {
    pub(super) fn new() -> Table<K> {
        Table {
            keys: Vec::new(),
            slots: vec![0; 16],
        }
    }

    pub(super) fn key(&self, number: u32) -> K {
        self.keys[number as usize]
    }

    /// The number of `key`, if it is there.
    pub(super) fn find(&self, key: K) -> Option<u32> {
        self.slots[self.place(key)].checked_sub(1)
    }

    /// The number of `key`, and whether it is new.
    pub(super) fn insert(&mut self, key: K) -> (u32, bool) {
        let place = self.place(key);
        if let Some(number) = self.slots[place].checked_sub(1) {
            return (number, false);
        }
        self.keys.push(key);
        self.slots[place] = self.keys.len() as u32;
        if self.keys.len() * 5 > self.slots.len() * 4 {
            self.grow();
        }
        (self.keys.len() as u32 - 1, true)
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.keys.capacity() * size_of::<K>() + self.slots.capacity() * size_of::<u32>()
    }

    /// Where `key` is, or would go.
    fn place(&self, key: K) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = self.first(key);
        loop {
            match self.slots[place] {
                0 => return place,
                number if self.keys[number as usize - 1] == key => return place,
                _ => place = (place + 1) & mask,
            }
        }
    }

    fn first(&self, key: K) -> usize {
        (key.spread() >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for number in 0..self.keys.len() {
            let place = self.place(self.keys[number]);
            self.slots[place] = number as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_the_number_it_got() {
        let mut table = Table::new();
        for key in 0..10_000_u64 {
            assert_eq!(table.insert(key * key), (key as u32, true));
        }
        for key in 0..10_000_u64 {
            assert_eq!(table.insert(key * key), (key as u32, false));
            assert_eq!(table.find(key * key), Some(key as u32));
            assert_eq!(table.key(key as u32), key * key);
        }
        assert_eq!(table.find(2), None);
    }
}
