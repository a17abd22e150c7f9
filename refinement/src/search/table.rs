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

/// Adds to the end of a list that may become long: it grows by an eighth, not to twice its size.
pub(super) fn push<T: Clone>(list: &mut Vec<T>, more: &[T]) {
    if list.capacity() - list.len() < more.len() {
        list.reserve_exact(list.len() / 8 + more.len().max(64));
    }
    list.extend_from_slice(more);
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

/// The set.
#[derive(Debug)]
pub(super) struct Table<K> {
    keys: Vec<K>,
    slots: Slots,
}

impl<K: Key> Table<K> {
    pub(super) fn new() -> Table<K> {
        Table {
            keys: Vec::new(),
            slots: Slots::new(),
        }
    }

    pub(super) fn key(&self, number: u32) -> K {
        self.keys[number as usize]
    }

    /// The number of `key`, if it is there.
    pub(super) fn find(&self, key: K) -> Option<u32> {
        let is = |number: u32| self.keys[number as usize] == key;
        self.slots.find(key.spread(), is)
    }

    /// The number of `key`, which is added if it is not there.
    pub(super) fn insert(&mut self, key: K) -> u32 {
        let keys = &self.keys;
        let (number, new) = self.slots.insert(
            key.spread(),
            |number| keys[number as usize] == key,
            |number| keys[number as usize].spread(),
        );
        if new {
            push(&mut self.keys, &[key]);
        }
        number
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.keys.capacity() * size_of::<K>() + self.slots.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_the_number_it_got() {
        let mut table = Table::new();
        for key in 0..10_000_u64 {
            assert_eq!(table.insert(key * key), key as u32);
        }
        for key in 0..10_000_u64 {
            assert_eq!(table.insert(key * key), key as u32);
            assert_eq!(table.find(key * key), Some(key as u32));
            assert_eq!(table.key(key as u32), key * key);
        }
        assert_eq!(table.find(2), None);
    }
}
