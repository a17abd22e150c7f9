//! What a call costs: how often each lock class is taken, counted by running it alone at full size.

use mlock_impl::kernel::{Kernel, SysCall};
use mlock_impl::machine::{
    Area, Class, LayoutError, Machine, Memory, MmMemory, Op, Region, RegionKind, Step, World,
};
use std::collections::BTreeMap;

/// Base pages of a huge page on x86-64.
pub const REAL_SIZE: u16 = 512;

/// `PAGEVEC_SIZE`, the pages of a batch, from v4.16 to v6.10 (31 since).
const REAL_BATCH: u16 = 15;

/// What a call works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// One huge page.
    Thp,
    /// The huge zero page.
    HugeZero,
    /// As many small pages as a huge page has.
    Small,
}

impl Subject {
    /// All of them.
    pub const ALL: [Subject; 3] = [Subject::Thp, Subject::HugeZero, Subject::Small];

    /// The subject in words.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Thp => "one THP",
            Subject::HugeZero => "the huge zero page",
            Subject::Small => "512 small pages",
        }
    }
}

/// One row: a kernel, a call, a subject, and how often each class was taken.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The kernel.
    pub kernel: &'static str,
    /// `mlock` or `munlock`.
    pub call: &'static str,
    /// What it worked on.
    pub subject: Subject,
    /// Acquisitions per class.
    pub taken: BTreeMap<Class, usize>,
}

/// Counts for one kernel.
///
/// # Errors
///
/// If the scenario is too large for a state.
pub fn of(kernel: &Kernel) -> Result<Vec<Cost>, LayoutError> {
    let mut out = Vec::new();
    for subject in Subject::ALL {
        let kind = match subject {
            Subject::Thp => RegionKind::Thp,
            Subject::HugeZero => RegionKind::HugeZero,
            Subject::Small => RegionKind::Small,
        };
        let region = Region {
            kind,
            start: 0,
            len: REAL_SIZE,
            home: None,
        };
        let world = World {
            regions: vec![region],
            mms: 1,
            thp_pages: REAL_SIZE,
            lru_add_cpus: 0,
            batch: REAL_BATCH,
        };
        let area = Area {
            mm: 0,
            pages: region.pages(),
        };
        let calls = vec![SysCall::Mlock(area.clone()), SysCall::Munlock(area)];
        let maps = MmMemory {
            maps: vec![0],
            locked: Vec::new(),
        };
        let memory = Memory {
            mms: vec![maps],
            ..Memory::default()
        };
        let counts = run(kernel, world, &memory, &calls)?;
        for (call, taken) in ["mlock", "munlock"].into_iter().zip(counts) {
            out.push(Cost {
                kernel: kernel.name,
                call,
                subject,
                taken,
            });
        }
    }
    Ok(out)
}

/// Runs the calls alone and counts acquisitions per call.
fn run(
    kernel: &Kernel,
    world: World,
    memory: &Memory,
    calls: &[SysCall],
) -> Result<Vec<BTreeMap<Class, usize>>, LayoutError> {
    let program = kernel.program(&world, calls);
    let machine = Machine::new(world, vec![program], &[])?;
    let mut state = machine.initial(memory);
    let mut counts = vec![BTreeMap::new(); calls.len()];
    let mut next = Vec::new();
    loop {
        let here = machine.state(&state);
        let (pc, call) = (usize::from(here.pc(0)), here.call(0));
        if !matches!(machine.step(&state, 0, &mut next), Step::Moved(_)) {
            return Ok(counts);
        }
        let op = machine.programs()[0].code.get(pc).map(|instr| &instr.op);
        let held = |words: &[u64]| machine.state(words).held(0).count();
        if let (Some(Op::Acquire(lock, _) | Op::TryAcquire(lock, ..)), Some(call)) = (op, call)
            && held(&next) > held(&state)
        {
            *counts[usize::from(call)].entry(lock.class).or_insert(0) += 1;
        }
        std::mem::swap(&mut state, &mut next);
    }
}
