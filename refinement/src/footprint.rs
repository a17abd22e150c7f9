//! What the judge looks at when an instruction is taken, in addition to what the instruction itself
//! touches.
//!
//! * A page that rides on its head has no mark of its own to speak of, so its flag is nobody's
//!   business.
//! * Who marks, clears or frees a folio is judged by how far the folio reaches; who clears or frees
//!   it, by who wants its pages, too.
//! * A split is judged by the head's flag and by how far the folio reaches.
//! * Who changes a mapping or `VM_LOCKED` is judged by what there is of both, in that address space.
//!
//! The laws of rest are asked when a call ends and all others have ended, or have done nothing yet
//! ([`Object::Rest`]).
//! An amount that is accounted is judged by the actor's own debt alone.
//! What a reader of the statistic can see while calls are in flight
//! ([`Tally::transient`](crate::system::Tally::transient)) depends on more than that, and is known
//! only from a search without reductions.

use mlock_impl::machine::{Access, Flag, Machine, Object};

/// The footprint of one or more instructions, with what the judge looks at when they are taken in
/// `state`, as far as folios go.
pub(crate) fn judged_too(machine: &Machine, words: &[u64], mut access: Access) -> Access {
    if !access.changes_memory() {
        return access;
    }
    let mms = || 0..machine.world().mms;
    for mm in mms() {
        let maps = access.written(Object::Maps(mm));
        let wants = access.written(Object::VmLocked(mm));
        for at in maps.into_iter().chain(wants) {
            access.reads(Object::Maps(mm), at.clone());
            access.reads(Object::VmLocked(mm), at);
        }
    }
    // Who may do anything may do it past the last page, too.
    let last = machine.world().pages().saturating_sub(1);
    let written = |object| {
        let at = access.written(object)?;
        Some(*at.start().min(&last)..=*at.end().min(&last))
    };
    let flags = written(Object::Flag(Flag::Mlocked));
    let splits = written(Object::Rides);
    let frees = written(Object::Free);
    if flags.is_none() && splits.is_none() && frees.is_none() {
        return access;
    }
    let here = machine.state(words);
    let end = |page: u16| here.next_head(page + 1).max(page + 1) - 1;
    if let Some(at) = &splits {
        let head = here.head_of(*at.start());
        access.reads(Object::Flag(Flag::Mlocked), head..=here.head_of(*at.end()));
        access.reads(Object::Rides, head..=end(*at.end()));
        access.reads(Object::Free, head..=end(*at.end()));
    }
    // Where a split is among the instructions, nobody knows which pages will still ride.
    let judged = match (flags, splits) {
        (Some(at), None) => {
            let first = here.next_head(*at.start());
            (first <= *at.end()).then_some(first..=*at.end())
        }
        (flags, _) => flags,
    };
    for at in judged.into_iter().chain(frees) {
        let reach = *at.start()..=end(*at.end());
        access.reads(Object::Rides, reach.clone());
        access.reads(Object::Free, reach.clone());
        for mm in mms() {
            access.reads(Object::Maps(mm), reach.clone());
            access.reads(Object::VmLocked(mm), reach.clone());
        }
    }
    access
}
