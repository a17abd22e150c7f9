//! What the machine does with spare frames, page vectors and wide numbers, one small program each.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mlock_impl::machine::{
    Asm, Batch, Cond, Expr, Flag, Machine, Memory, MmMemory, Op, Pagevec, Program, RegKind, Region,
    RegionKind, Source, Step, World, read,
};

/// Two small pages, mapped, and two spare frames for them.
fn world() -> World {
    let region = |start, home| Region {
        kind: RegionKind::Small,
        start,
        len: 2,
        home,
    };
    World {
        regions: vec![region(0, None), region(2, Some(0))],
        mms: 1,
        thp_pages: 2,
        lru_add_cpus: 0,
        batch: 2,
    }
}

fn memory() -> Memory {
    Memory {
        mms: vec![MmMemory {
            maps: vec![0],
            locked: std::iter::once(0..2).collect(),
        }],
        ..Memory::default()
    }
}

fn program(world: &World, body: impl FnOnce(&mut Asm<'_>)) -> Program {
    let mut asm = Asm::new(world);
    body(&mut asm);
    asm.finish()
}

/// Runs one program to its end and hands the last state on.
fn run(world: World, memory: &Memory, program: Program, look: impl FnOnce(&Machine, &[u64])) {
    let machine = Machine::new(world, vec![program], &[]).unwrap();
    let (mut state, mut next) = (machine.initial(memory), Vec::new());
    while let Step::Moved(_) = machine.step(&state, 0, &mut next) {
        std::mem::swap(&mut state, &mut next);
    }
    assert_eq!(machine.step(&state, 0, &mut next), Step::Halted);
    look(&machine, &state);
}

/// Drops a reference, and frees the page if it was the last.
fn put(k: &mut Asm<'_>, page: u16) {
    k.if_(Cond::PutPage(page.into()), |k| {
        k.emit(Op::Free(page.into()))
    });
}

fn free_pages(machine: &Machine, state: &[u64]) -> u64 {
    machine.state(state).free().sum()
}

#[test]
fn a_migration_puts_the_spare_frame_in_the_place_of_the_old_one() {
    let world = world();
    let moves = program(&world, |k| {
        let last = k.local("last", RegKind::Flag);
        k.emit(Op::PteToMigration(0, 1.into(), last));
        k.emit(Op::MigrationToPte(0, 1.into(), 3.into()));
    });
    run(world, &memory(), moves, |machine, state| {
        let state = machine.state(state);
        assert_eq!(
            [0, 1, 2, 3].map(|page| state.maps(0, page)),
            [true, false, false, true]
        );
        assert_eq!(state.mapcount(3), 1);
    });
}

#[test]
fn an_address_leads_to_the_frame_that_is_there_and_its_area_stays_locked() {
    let world = world();
    let asks = program(&world, |k| {
        let (last, page) = (
            k.local("last", RegKind::Flag),
            k.local("page", RegKind::Page),
        );
        k.emit(Op::ClearPte(0, 1.into(), last));
        k.emit(Op::SetPte(0, 3.into()));
        k.emit(Op::Load(page, Source::PageAt(0, 1.into())));
        k.if_(read(Source::VmLocked(0, page.into())), |k| {
            k.emit(Op::SetFlag(Flag::Mlocked, page.into()));
        });
    });
    run(world, &memory(), asks, |machine, state| {
        assert_eq!(machine.state(state).mlocked().sum::<u64>(), 1 << 3);
    });
}

#[test]
fn a_table_of_spare_frames_can_become_a_huge_page() {
    let world = world();
    let collapse = program(&world, |k| k.emit(Op::MakeCompound(1)));
    run(world, &memory(), collapse, |machine, state| {
        assert_eq!(machine.state(state).rides().sum::<u64>(), 1 << 3);
    });
}

#[test]
fn a_page_vector_keeps_a_page_from_being_freed() {
    let vec = Pagevec::Own(Batch::Munlock);
    let collects = |k: &mut Asm<'_>| {
        let last = k.local("last", RegKind::Flag);
        k.emit(Op::GetPage(0.into()));
        k.emit(Op::VecAdd(vec, 0.into()));
        k.emit(Op::ClearPte(0, 0.into(), last));
        put(k, 0);
    };
    let world = world();
    let keeps = program(&world, collects);
    run(world.clone(), &memory(), keeps, |machine, state| {
        assert_eq!(free_pages(machine, state), 0);
    });
    let drops = program(&world, |k| {
        collects(k);
        k.emit(Op::VecTake(vec, 0.into()));
        put(k, 0);
    });
    run(world, &memory(), drops, |machine, state| {
        assert_eq!(free_pages(machine, state), 1);
    });
}

#[test]
fn a_page_vector_is_visited_in_order_and_counted() {
    let vec = Pagevec::Own(Batch::Putback);
    let world = world();
    let visits = program(&world, |k| {
        let page = k.local("page", RegKind::Page);
        for page in [1, 0] {
            k.emit(Op::GetPage(page.into()));
            k.emit(Op::VecAdd(vec, page.into()));
        }
        k.set(page, vec.next(0));
        k.while_(page.get().less_than(4), |k| {
            k.emit(Op::ModNrMlock(vec.count() + page));
            k.set(page, vec.next(page + 1));
        });
    });
    run(world, &memory(), visits, |machine, state| {
        assert_eq!(machine.state(state).nr_mlock(), 2 + 3);
    });
}

#[test]
fn a_page_on_its_way_to_a_list_is_on_none_yet() {
    let world = World {
        lru_add_cpus: 1,
        ..world()
    };
    let memory = Memory {
        lru_add: vec![(0, 1)],
        ..memory()
    };
    let marks_those_on_lists = program(&world, |k| {
        for page in [0, 1] {
            k.if_(read(Source::Flag(Flag::Lru, page.into())), |k| {
                k.emit(Op::SetFlag(Flag::Mlocked, page.into()));
            });
        }
    });
    run(world, &memory, marks_those_on_lists, |machine, state| {
        assert_eq!(machine.state(state).mlocked().sum::<u64>(), 1);
    });
}

#[test]
fn an_unsigned_amount_is_widened_without_its_sign() {
    let world = world();
    let widens = program(&world, |k| {
        let nr_pages = k.local("nr_pages", RegKind::Count);
        k.set(nr_pages, 2);
        k.emit(Op::ModNrMlock(Expr::Unsigned32(Box::new(-nr_pages))));
    });
    run(world, &memory(), widens, |machine, state| {
        assert_eq!(machine.state(state).nr_mlock(), (1 << 32) - 2);
    });
}

#[test]
fn what_no_program_uses_takes_no_room() {
    let mut world = world();
    world.regions.truncate(1);
    world.regions[0].len = 64;
    let words = |body: fn(&mut Asm<'_>)| {
        let program = program(&world, body);
        Machine::new(world.clone(), vec![program], &[])
            .unwrap()
            .words()
    };
    let plain = words(|k| k.emit(Op::SetFlag(Flag::Mlocked, 0.into())));
    let with_lists = words(|k| k.emit(Op::SetFlag(Flag::Unevictable, 0.into())));
    // The list, and three digits of `mlock_count`, a word each.
    assert_eq!(with_lists, plain + 4);
}

#[test]
fn what_one_cpu_alone_changes_is_kept_apart() {
    let world = world();
    let account = || program(&world, |k| k.emit(Op::ModNrMlock(1.into())));
    let mark = || program(&world, |k| k.emit(Op::SetFlag(Flag::Mlocked, 0.into())));
    let blocks = |programs| {
        let machine = Machine::new(world.clone(), programs, &[]).unwrap();
        assert_eq!(machine.blocks().iter().sum::<usize>(), machine.words());
        machine
    };
    for (programs, alone) in [
        (vec![account(), mark()], true),
        (vec![account(), account()], false),
    ] {
        let machine = blocks(programs);
        let before = machine.initial(&memory());
        let mut after = Vec::new();
        assert!(matches!(
            machine.step(&before, 0, &mut after),
            Step::Moved(_)
        ));
        // Those of nobody, then those of the first CPU.
        let shared = machine.blocks()[0];
        let changed = |at: std::ops::Range<usize>| before[at.clone()] != after[at];
        assert_eq!(changed(0..shared), !alone);
        assert!(changed(shared..shared + machine.blocks()[1]));
        assert!(!changed(shared + machine.blocks()[1]..machine.words()));
    }
}
