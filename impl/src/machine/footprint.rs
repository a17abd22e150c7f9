//! Footprints: what each instruction reads, writes and adds to.
//!
//! Shared memory has a few kinds of *objects* (a flag, the page tables of an address space, a class of
//! locks, the statistic), each with an index: mostly a page, sometimes an address space.
//! A footprint says of each kind between which indices it is read, and between which it is changed.
//! Two instructions commute if neither writes what the other touches, and neither adds to what the
//! other reads; two that add to the same thing commute.
//!
//! # References
//!
//! Dropping a reference is a decrement whose result matters only if it was the last one.
//! As long as the page is mapped it is not the last one, so it merely adds; that the page stays mapped
//! is what it reads.
//! For a page that is not mapped see [`Access::uncounted`].
//!
//! A folio has one count for all its pages.
//! So the instruction that is asked about counts for its page's whole folio ([`Access::of_folios`]);
//! what others may do later counts for their pages alone: folios only get smaller, so if it is the same
//! folio then, their page is one of those.
//! (Where small pages are made into a folio, nothing is known: [`Op::MakeCompound`].)
//!
//! # Calls
//!
//! An observer may ask what there is whenever a call ends and all others have ended, or have begun and
//! done nothing yet (they may as well not have begun).
//! So it makes no difference when a call begins, but when it does something for the first time: that
//! reads what the others' ends write ([`Object::Rest`]).
//! Nor does it make a difference that a call ends sooner: the observer then asks when the last of the
//! others has ended, and sees the same.

use super::folio::{FolioOp, FolioSource};
use super::interval::Interval;
use super::lock::{Class, Mode, Scope};
use super::op::{Expr, Flag, LockRef, Op, Source};
use super::world::World;
use std::ops::{Deref, Range, RangeInclusive};

/// The kinds of things in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A page flag, by page.
    Flag(Flag),
    /// Heads, tails and sizes, by page.
    Shape,
    /// Which pages have flags of their own, by page.
    Rides,
    /// References, by page.
    Refs,
    /// Which pages are back with the allocator, by page.
    Free,
    /// How an address space maps its addresses, entry and ptes, by page; the last kind of four
    /// stands for all further address spaces.
    Maps(u8),
    /// Where an address space has `VM_LOCKED`, by page.
    VmLocked(u8),
    /// The statistic.
    Statistic,
    /// Whether all calls have ended, or have done nothing yet.
    Rest,
    /// A class of locks, by what names them.
    Lock(Class),
}

const MMS: usize = 4;
const FLAGS: usize = 4;
const MAPS: usize = FLAGS + 4;
const VM_LOCKED: usize = MAPS + MMS;
const LOCKS: usize = VM_LOCKED + MMS + 2;
const KINDS: usize = LOCKS + Class::ALL.len();

impl From<Flag> for Object {
    fn from(flag: Flag) -> Object {
        Object::Flag(flag)
    }
}

impl Object {
    fn index(self) -> usize {
        match self {
            Object::Flag(flag) => flag as usize,
            Object::Shape => FLAGS,
            Object::Rides => FLAGS + 1,
            Object::Refs => FLAGS + 2,
            Object::Free => FLAGS + 3,
            Object::Maps(mm) => MAPS + usize::from(mm).min(MMS - 1),
            Object::VmLocked(mm) => VM_LOCKED + usize::from(mm).min(MMS - 1),
            Object::Statistic => LOCKS - 2,
            Object::Rest => LOCKS - 1,
            Object::Lock(class) => LOCKS + class as usize,
        }
    }
}

/// Indices from the first to the last; none if they are the wrong way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span(u16, u16);

impl Span {
    const NONE: Span = Span(u16::MAX, 0);

    fn meets(self, other: Span) -> bool {
        self.0 <= other.1 && other.0 <= self.1
    }

    fn join(self, other: Span) -> Span {
        Span(self.0.min(other.0), self.1.max(other.1))
    }
}

/// The world, and which of its regions have no folio of more than one page, as things are.
#[derive(Clone, Copy)]
pub(super) struct Ground<'w> {
    pub(super) world: &'w World,
    /// A bit for each region; those that there is no bit for may have larger ones.
    pub(super) single: u16,
}

impl Deref for Ground<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        self.world
    }
}

/// What an instruction, or several, may do to shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Kinds that are read, added to, written: a bit each.
    reads: u32,
    adds: u32,
    writes: u32,
    /// Where each kind is read.
    read: [Span; KINDS],
    /// Where each kind is added to or written.
    changed: [Span; KINDS],
}

impl Access {
    /// Nothing at all.
    pub const NONE: Access = Access {
        reads: 0,
        adds: 0,
        writes: 0,
        read: [Span::NONE; KINDS],
        changed: [Span::NONE; KINDS],
    };

    /// Anything whatever: what is always right to say, and never lets anything be left out.
    pub fn everything() -> Access {
        let all = u32::MAX >> (32 - KINDS);
        Access {
            reads: all,
            adds: 0,
            writes: all,
            read: [Span(0, u16::MAX); KINDS],
            changed: [Span(0, u16::MAX); KINDS],
        }
    }

    /// Looks at a kind of thing, too.
    pub fn reads(&mut self, kind: Object, at: RangeInclusive<u16>) {
        let kind = kind.index();
        self.reads |= 1 << kind;
        self.read[kind] = self.read[kind].join(Span(*at.start(), *at.end()));
    }

    /// Changes a kind of thing, too.
    pub fn writes(&mut self, kind: Object, at: RangeInclusive<u16>) {
        let kind = kind.index();
        self.writes |= 1 << kind;
        self.changed[kind] = self.changed[kind].join(Span(*at.start(), *at.end()));
    }

    /// Adds to a kind of thing without looking, too.
    pub fn adds(&mut self, kind: Object, at: RangeInclusive<u16>) {
        let kind = kind.index();
        self.adds |= 1 << kind;
        self.changed[kind] = self.changed[kind].join(Span(*at.start(), *at.end()));
    }

    /// Whether it touches nothing at all.
    pub(super) fn is_none(&self) -> bool {
        self.reads | self.adds | self.writes == 0
    }

    /// Whether it changes anything but locks and references.
    pub fn changes_memory(&self) -> bool {
        let locks = u32::MAX << LOCKS | 1 << Object::Refs.index();
        self.writes & !locks != 0
    }

    /// Whether it changes a kind of thing.
    pub(super) fn changes(&self, kind: Object) -> bool {
        (self.writes | self.adds) & 1 << kind.index() != 0
    }

    /// Where it changes a kind of thing, if it does.
    pub fn written(&self, kind: Object) -> Option<RangeInclusive<u16>> {
        let kind = kind.index();
        let span = self.changed[kind];
        (self.writes & 1 << kind != 0).then_some(span.0..=span.1)
    }

    /// Does what `other` does, too.
    pub fn join(&mut self, other: &Access) {
        self.reads |= other.reads;
        self.adds |= other.adds;
        self.writes |= other.writes;
        for kind in kinds(other.reads) {
            self.read[kind] = self.read[kind].join(other.read[kind]);
        }
        for kind in kinds(other.adds | other.writes) {
            self.changed[kind] = self.changed[kind].join(other.changed[kind]);
        }
    }

    /// Whether the order of the two can matter.
    pub fn conflicts(&self, other: &Access) -> bool {
        let both = self.writes & (other.adds | other.writes) | other.writes & self.adds;
        let mine = (self.writes | self.adds) & other.reads;
        let theirs = (other.writes | other.adds) & self.reads;
        kinds(both).any(|kind| self.changed[kind].meets(other.changed[kind]))
            || kinds(mine).any(|kind| self.changed[kind].meets(other.read[kind]))
            || kinds(theirs).any(|kind| other.changed[kind].meets(self.read[kind]))
    }

    /// As this, for an instruction that counts references on a page that is not mapped: now the
    /// count matters, and whose pages count together.
    pub(super) fn uncounted(&self) -> Access {
        let mut all = *self;
        let refs = Object::Refs.index();
        if self.adds & 1 << refs != 0 {
            let Span(first, last) = self.changed[refs];
            all.writes(Object::Refs, first..=last);
            all.reads(Object::Shape, first..=last);
            all.reads(Object::Free, first..=last);
        }
        all
    }

    /// As this, of an instruction that is about to be taken: references count for all pages of the
    /// folios that it counts them on.
    pub(super) fn of_folios(mut self, folio: &dyn Fn(u16) -> Range<u16>) -> Access {
        let refs = Object::Refs.index();
        for span in [&mut self.read[refs], &mut self.changed[refs]] {
            if span.0 <= span.1 {
                let last = folio(span.1).end.saturating_sub(1);
                *span = Span(span.0.min(folio(span.0).start), span.1.max(last));
            }
        }
        self
    }

    /// What one instruction does, local variables as far as they are `known`; a page whose
    /// references it counts is taken to be mapped.
    pub(super) fn of(ground: Ground<'_>, op: &Op, known: &dyn Fn(&Expr) -> Interval) -> Access {
        let mut all = Access::NONE;
        let at = |page: &Expr| within(known(page), ground.pages());
        match op {
            // A reference that passes between a CPU and its own page vector stays a reference.
            Op::Enter(_)
            | Op::Set(..)
            | Op::Jump(_)
            | Op::Branch(..)
            | Op::VecAdd(..)
            | Op::VecTake(..)
            | Op::VecMove(..) => {}
            Op::Leave(_) => all.writes(Object::Rest, 0..=0),
            Op::Acquire(lock, Mode::Shared) | Op::TryAcquire(lock, Mode::Shared, _) => {
                all.adds(Object::Lock(lock.class), locks(ground, lock, known));
            }
            Op::Acquire(lock, Mode::Exclusive)
            | Op::TryAcquire(lock, Mode::Exclusive, _)
            | Op::Release(lock)
            | Op::ReleaseIfHeld(lock) => {
                all.writes(Object::Lock(lock.class), locks(ground, lock, known));
            }
            Op::GetPage(p)
            | Op::GetPageUnlessZero(p, _)
            | Op::PutPage(p, _)
            | Op::GetSplitRef(p)
            | Op::PutSplitRef(p, _) => all.counts(ground, at(p)),
            Op::Free(p) => {
                // With a page goes the rest of its folio.
                let folio = folios_around(ground, at(p));
                all.writes(Object::Free, folio.clone());
                all.writes(Object::Shape, folio.clone());
                for flag in [Flag::Mlocked, Flag::Unevictable, Flag::DoubleMap] {
                    all.writes(Object::Flag(flag), folio.clone());
                }
            }
            Op::Load(_, source) | Op::BugOn(_, source, _) => all.loads(ground, source, known),
            Op::TestSet(flag, p, _) | Op::TestClear(flag, p, _) | Op::SetFlag(flag, p) => {
                all.writes(Object::Flag(*flag), at(p));
            }
            Op::ModNrMlock(_) => all.adds(Object::Statistic, 0..=0),
            Op::ClearTailFlags(p) => {
                all.writes(Object::Shape, at(p));
                all.writes(Object::Flag(Flag::Mlocked), at(p));
                all.writes(Object::Flag(Flag::Lru), at(p));
                all.writes(Object::Lock(Class::PageLock), at(p));
                all.writes(Object::Lock(Class::Compound), at(p));
            }
            Op::SetTailFlags(p, _) => {
                all.writes(Object::Flag(Flag::Mlocked), at(p));
                all.writes(Object::Flag(Flag::Lru), at(p));
                all.writes(Object::Rides, at(p));
            }
            Op::ClearCompound(p) => all.writes(Object::Shape, at(p)),
            Op::SetPmd(mm, region, _) | Op::FillTable(mm, region) => {
                all.writes(Object::Maps(*mm), region_pages(ground, *region));
            }
            Op::ClearPte(mm, p, _) => {
                all.counts(ground, at(p));
                all.writes(Object::Maps(*mm), at(p));
            }
            Op::ClearHugePmd(mm, region, _) => {
                all.counts(ground, region_pages(ground, *region));
                all.writes(Object::Maps(*mm), region_pages(ground, *region));
            }
            Op::CopyPmd(from, to, region) => {
                all.reads(Object::Maps(*from), region_pages(ground, *region));
                all.writes(Object::Maps(*to), region_pages(ground, *region));
            }
            Op::SetVmLocked(area, _) => {
                all.writes(Object::VmLocked(area.mm), range(&area.pages));
            }
            Op::SetPte(mm, p) => {
                all.counts(ground, at(p));
                all.writes(Object::Maps(*mm), at(p));
            }
            Op::PteToMigration(mm, p, _) => {
                all.counts(ground, at(p));
                all.writes(Object::Maps(*mm), at(p));
            }
            Op::MigrationToPte(mm, old, new) => {
                all.counts(ground, at(new));
                all.writes(Object::Maps(*mm), at(old));
                all.writes(Object::Maps(*mm), at(new));
            }
            Op::ClearMigration(mm, p) => all.writes(Object::Maps(*mm), at(p)),
            Op::MakeCompound(_) => return Access::everything(),
            Op::Folio(op) => all.folio(ground, op, known),
        }
        all
    }

    /// What an instruction on folios does.
    ///
    /// A frozen reference count is a change of references, `VM_IO` one of the area, `mlock_count` one
    /// of the list that it is linked into, and a migration entry one of the mapping.
    fn folio(&mut self, ground: Ground<'_>, op: &FolioOp, known: &dyn Fn(&Expr) -> Interval) {
        let at = |page: &Expr| within(known(page), ground.pages());
        match op {
            FolioOp::FreezePmd(mm, region)
            | FolioOp::MigratePmd(mm, region)
            | FolioOp::RestorePmd(mm, region) => {
                self.counts(ground, region_pages(ground, *region));
                self.writes(Object::Maps(*mm), region_pages(ground, *region));
            }
            FolioOp::SplitEntry(mm, region) => {
                self.writes(Object::Maps(*mm), region_pages(ground, *region));
            }
            FolioOp::FreezePte(mm, p) | FolioOp::RestorePte(mm, p) => {
                self.counts(ground, at(p));
                self.writes(Object::Maps(*mm), at(p));
            }
            FolioOp::ClearEntry(mm, p) => self.writes(Object::Maps(*mm), at(p)),
            FolioOp::TryFreezeRefs(p, _) => {
                self.looks_at_folios(ground, at(p));
                self.reads(Object::Refs, folios_around(ground, at(p)));
                self.writes(Object::Refs, folios_around(ground, at(p)));
            }
            FolioOp::UnfreezeRefs(p) => {
                self.reads(Object::Shape, folios_around(ground, at(p)));
                self.writes(Object::Refs, folios_around(ground, at(p)));
            }
            FolioOp::Shrink(p) => self.writes(Object::Shape, at(p)),
            FolioOp::SplitTail(p, _) => {
                self.reads(Object::Shape, folios_around(ground, at(p)));
                for flag in [Flag::Mlocked, Flag::Lru, Flag::Unevictable] {
                    self.reads(Object::Flag(flag), folios_around(ground, at(p)));
                    self.writes(Object::Flag(flag), at(p));
                }
                self.writes(Object::Shape, at(p));
                self.writes(Object::Rides, at(p));
                self.writes(Object::Refs, folios_around(ground, at(p)));
            }
            FolioOp::SetMlockCount(p, _) => self.writes(Object::Flag(Flag::Unevictable), at(p)),
            FolioOp::SetVmFlags(area, _) => {
                self.writes(Object::VmLocked(area.mm), range(&area.pages));
            }
            FolioOp::BatchAdd(p, ..) => {
                self.counts(ground, at(p));
                self.reads(Object::Shape, at(p));
            }
            FolioOp::BatchPut(_) => {
                self.counts(ground, at(&Expr::BatchPage(Box::new(0.into()))));
            }
        }
    }

    /// Looks at how far folios reach, and at who maps them.
    fn looks_at_folios(&mut self, ground: Ground<'_>, at: RangeInclusive<u16>) {
        let reach = folios_around(ground, at);
        self.reads(Object::Shape, reach.clone());
        for mm in 0..ground.mms {
            self.reads(Object::Maps(mm), reach.clone());
        }
    }

    /// Counts references on pages that are mapped, and stay so.
    pub(super) fn counts(&mut self, ground: Ground<'_>, at: RangeInclusive<u16>) {
        for mm in 0..ground.mms {
            self.reads(Object::Maps(mm), at.clone());
        }
        self.adds(Object::Refs, at);
    }

    fn loads(&mut self, ground: Ground<'_>, source: &Source, known: &dyn Fn(&Expr) -> Interval) {
        let at = |page: &Expr| within(known(page), ground.pages());
        match source {
            Source::Flag(flag, p) => self.reads(Object::Flag(*flag), at(p)),
            Source::PageLocked(p) => self.reads(Object::Lock(Class::PageLock), at(p)),
            Source::PageCompound(p) | Source::NrPages(p) | Source::PageTransHuge(p) => {
                self.reads(Object::Shape, at(p));
            }
            Source::HasMapping(p) => self.reads(Object::Rides, at(p)),
            Source::PageAt(mm, p) | Source::PteMaps(mm, p) | Source::MigrationAt(mm, p) => {
                self.reads(Object::Maps(*mm), at(p));
            }
            Source::HeldElsewhere(p) => self.reads(Object::Refs, at(p)),
            Source::Folio(source) => self.loads_of_folio(ground, source, known),
            Source::Mapcount(p) => {
                for mm in 0..ground.mms {
                    self.reads(Object::Maps(mm), at(p));
                }
            }
            Source::Pmd(mm, region) => {
                self.reads(Object::Maps(*mm), region_pages(ground, *region));
            }
            Source::PmdAt(mm, p) | Source::PtePresent(mm, p) => {
                self.reads(Object::Maps(*mm), at(p));
            }
            Source::VmLocked(mm, p) => self.reads(Object::VmLocked(*mm), at(p)),
            Source::VmLockedIn(area) => self.reads(Object::VmLocked(area.mm), range(&area.pages)),
        }
    }

    fn loads_of_folio(
        &mut self,
        ground: Ground<'_>,
        source: &FolioSource,
        known: &dyn Fn(&Expr) -> Interval,
    ) {
        let at = |page: &Expr| within(known(page), ground.pages());
        match source {
            FolioSource::ExtraRefs(p) => {
                self.looks_at_folios(ground, at(p));
                self.reads(Object::Refs, folios_around(ground, at(p)));
            }
            FolioSource::PmdMapcount(p) => self.looks_at_folios(ground, at(p)),
            FolioSource::MappedByPtes(p) => {
                self.looks_at_folios(ground, at(p));
                self.reads(Object::Flag(Flag::DoubleMap), at(p));
            }
            FolioSource::Head(p) => self.reads(Object::Shape, folios_around(ground, at(p))),
            FolioSource::MlockCount(p) => self.reads(Object::Flag(Flag::Unevictable), at(p)),
            FolioSource::MigrationEntry(mm, p) => self.reads(Object::Maps(*mm), at(p)),
            FolioSource::LockedUnmarked(mm, p) => self.reads(Object::VmLocked(*mm), at(p)),
            FolioSource::Unlocked(area) => {
                self.reads(Object::VmLocked(area.mm), range(&area.pages));
            }
            FolioSource::PteBatch(mm, p, end) => {
                let pages = *at(p).start()..=(*at(p).end()).max(end.saturating_sub(1));
                self.reads(Object::Shape, folios_around(ground, pages.clone()));
                self.reads(Object::Maps(*mm), pages);
            }
        }
    }
}

/// The page whose references an instruction counts.
pub(super) fn counted(op: &Op) -> Option<&Expr> {
    match op {
        Op::GetPage(p)
        | Op::GetPageUnlessZero(p, _)
        | Op::PutPage(p, _)
        | Op::GetSplitRef(p)
        | Op::PutSplitRef(p, _)
        | Op::Folio(FolioOp::BatchAdd(p, ..)) => Some(p),
        _ => None,
    }
}

/// What names a lock, as far as it is known.
pub(super) fn locks(
    ground: Ground<'_>,
    lock: &LockRef,
    known: &dyn Fn(&Expr) -> Interval,
) -> RangeInclusive<u16> {
    let index = known(&lock.index);
    match (lock.class.scope(), &ground.regions[..]) {
        (Scope::Global, _) => 0..=0,
        // Whatever address it is computed from.
        (Scope::Region, [only]) => only.start..=only.start,
        _ => within(index, u16::MAX),
    }
}

fn kinds(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let kind = bits.checked_ilog2()?;
        bits &= !(1 << kind);
        Some(kind as usize)
    })
}

/// The indices that a computed one may be, up to the last one.
pub(super) fn within(index: Interval, last: u16) -> RangeInclusive<u16> {
    let bound = |index: i64| index.clamp(0, i64::from(last)) as u16;
    bound(index.least)..=bound(index.most)
}

fn range(pages: &Range<u16>) -> RangeInclusive<u16> {
    pages.start..=pages.end.saturating_sub(1)
}

fn region_pages(ground: Ground<'_>, region: u16) -> RangeInclusive<u16> {
    ground
        .regions
        .get(usize::from(region))
        .map_or(0..=u16::MAX, |r| range(&r.pages()))
}

/// The pages of all folios that some pages may belong to.
pub(super) fn folios_around(ground: Ground<'_>, at: RangeInclusive<u16>) -> RangeInclusive<u16> {
    let around = |page| {
        let region = ground.region_of(page);
        match u32::try_from(region)
            .ok()
            .and_then(|i| ground.single.checked_shr(i))
        {
            Some(single) if single & 1 == 1 => page..=page,
            _ => region_pages(ground, region as u16),
        }
    };
    *around(*at.start()).start()..=*around(*at.end()).end()
}
