//! The states themselves, each as the numbers of its blocks, in as few bits as those take.
//!
//! The bits of a number are as many as the greatest one so far needs; where one needs more, all are
//! packed anew, which happens some thirty times at most for each block.

use super::table::{Slots, make_room, mix, spread_pair};

/// The most blocks that a state has.
pub(super) const BLOCKS: usize = 4;

/// How many states to look for at once.
pub(super) const AHEAD: usize = 16;

/// The numbers of a state's blocks; 0 for blocks that there are not.
pub(super) type Blocks = [u32; BLOCKS];

/// The set.
#[derive(Debug)]
pub(super) struct Roots {
    /// The bits that there are for the number of each block, and what fits; bytes of all of them.
    widths: [u32; BLOCKS],
    room: Blocks,
    bytes: usize,
    /// The greatest number of each block.
    most: Blocks,
    /// All states, and [`SPARE`] bytes more, so that each can be read as a whole number.
    packed: Vec<u8>,
    len: usize,
    slots: Slots,
}

/// Bytes of the number that a state is read and written as.
const SPARE: usize = size_of::<u128>();

impl Roots {
    pub(super) fn new() -> Roots {
        Roots {
            widths: [0; BLOCKS],
            room: [0; BLOCKS],
            bytes: 0,
            most: [0; BLOCKS],
            packed: vec![0; SPARE],
            len: 0,
            slots: Slots::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.packed.capacity() + self.slots.bytes()
    }

    /// The blocks of the state with this number.
    pub(super) fn get(&self, number: u32) -> Blocks {
        unpack(self.packed(number), &self.widths)
    }

    /// The number of a state, if it is there.
    pub(super) fn find(&self, blocks: Blocks) -> Option<u32> {
        if !self.have_room(blocks) {
            return None;
        }
        let packed = pack(blocks, &self.widths);
        self.slots
            .find(spread(blocks), |number| self.packed(number) == packed)
    }

    /// Looks at where states with these hashes will be looked for, all at once and some time before
    /// that, so that one does not wait for the other.
    pub(super) fn touch(&self, hashes: &[u64]) {
        let mut places = [None; AHEAD];
        for (place, &hash) in places.iter_mut().zip(hashes) {
            *place = self.slots.touch(hash);
        }
        let bytes = places.iter().flatten();
        let bytes = bytes.map(|&number| self.packed[number as usize * self.bytes]);
        std::hint::black_box(bytes.fold(0, |all, byte| all ^ byte));
    }

    /// The number of a state with this hash, which is added if it is not there, and whether it is new.
    pub(super) fn insert(&mut self, blocks: Blocks, hash: u64) -> (u32, bool) {
        if !self.have_room(blocks) {
            self.widen(blocks);
        }
        for (most, block) in self.most.iter_mut().zip(blocks) {
            *most = block.max(*most);
        }
        let packed = pack(blocks, &self.widths);
        let (all, bytes, widths) = (&self.packed, self.bytes, &self.widths);
        let (number, new) = self.slots.insert(
            hash,
            |number| read(all, bytes, number) == packed,
            |number| spread(unpack(read(all, bytes, number), widths)),
        );
        if new {
            let at = self.len * bytes;
            make_room(&mut self.packed, bytes);
            self.packed.resize(at + bytes + SPARE, 0);
            self.packed[at..at + SPARE].copy_from_slice(&packed.to_le_bytes());
            self.len += 1;
        }
        (number, new)
    }

    fn have_room(&self, blocks: Blocks) -> bool {
        let fits = |(&block, &most): (&u32, &u32)| block <= most;
        blocks.iter().zip(&self.room).all(fits)
    }

    fn packed(&self, number: u32) -> u128 {
        read(&self.packed, self.bytes, number)
    }

    /// Packs all states anew, with room for these numbers.
    fn widen(&mut self, blocks: Blocks) {
        for (most, block) in self.most.iter_mut().zip(blocks) {
            *most = block.max(*most);
        }
        let mut widths = self.most.map(bits);
        let bytes = (widths.iter().sum::<u32>() as usize).div_ceil(8);
        // What is left of the last byte goes to the block that takes the most values.
        let left = 8 * bytes as u32 - widths.iter().sum::<u32>();
        if let Some(widest) = widths.iter_mut().max() {
            *widest = (*widest + left).min(u32::BITS);
        }
        let mut packed = vec![0; self.len * bytes + SPARE];
        for number in 0..self.len {
            let one = pack(self.get(number as u32), &widths);
            let at = number * bytes;
            packed[at..at + SPARE].copy_from_slice(&one.to_le_bytes());
        }
        (self.widths, self.bytes, self.packed) = (widths, bytes, packed);
        self.room = widths.map(|width| ((1_u64 << width) - 1) as u32);
    }
}

/// Bits that a number takes.
fn bits(number: u32) -> u32 {
    u32::BITS - number.leading_zeros()
}

/// The packed state with this number, out of all of them.
#[inline]
fn read(all: &[u8], bytes: usize, number: u32) -> u128 {
    let at = number as usize * bytes;
    let mut one = [0; SPARE];
    one.copy_from_slice(&all[at..at + SPARE]);
    // What follows belongs to the next one.
    let mask = u128::MAX.checked_shr(8 * (SPARE - bytes) as u32);
    u128::from_le_bytes(one) & mask.unwrap_or(0)
}

/// Two numbers take no more than one word, and all four no more than two.
#[inline]
fn pack([a, b, c, d]: Blocks, widths: &[u32; BLOCKS]) -> u128 {
    let two = |left: u32, right: u32, width: u32| u64::from(left) << width | u64::from(right);
    let (left, right) = (two(a, b, widths[1]), two(c, d, widths[3]));
    u128::from(left) << (widths[2] + widths[3]) | u128::from(right)
}

#[inline]
fn unpack(packed: u128, widths: &[u32; BLOCKS]) -> Blocks {
    let right = widths[2] + widths[3];
    let two = |both: u64, width: u32| [(both >> width) as u32, (both & ((1 << width) - 1)) as u32];
    let [a, b] = two((packed >> right) as u64, widths[1]);
    let [c, d] = two((packed & ((1 << right) - 1)) as u64, widths[3]);
    [a, b, c, d]
}

/// A hash of the numbers of a state's blocks.
#[inline]
pub(super) fn spread(blocks: Blocks) -> u64 {
    let [a, b, c, d] = blocks;
    mix(spread_pair(a, b) ^ (u64::from(c) << 32 | u64::from(d)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_counts_for_the_hash() {
        for place in 0..BLOCKS {
            let hashes = (0..1 << 16).map(|number: u32| {
                let mut blocks = [1; BLOCKS];
                blocks[place] = number << 8;
                spread(blocks)
            });
            let hashes: std::collections::BTreeSet<u64> = hashes.collect();
            assert_eq!(hashes.len(), 1 << 16);
        }
    }

    #[test]
    fn a_state_keeps_its_number_however_wide_the_numbers_of_its_blocks_become() {
        let mut roots = Roots::new();
        let blocks = |i: u32| [i % 7, i, u32::MAX - i, i << 20];
        let all: Vec<Blocks> = [[0; BLOCKS]]
            .into_iter()
            .chain((1..5000).map(blocks))
            .collect();
        for (number, &one) in all.iter().enumerate() {
            assert_eq!(roots.find(one), None);
            assert_eq!(roots.insert(one, spread(one)), (number as u32, true));
        }
        for (number, &one) in all.iter().enumerate() {
            assert_eq!(roots.insert(one, spread(one)), (number as u32, false));
            assert_eq!(roots.find(one), Some(number as u32));
            assert_eq!(roots.get(number as u32), one);
        }
        assert_eq!(roots.len(), 5000);
    }
}
