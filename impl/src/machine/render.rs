//! How instructions read: with variable names in labels, with values in drawings.

use super::exec::{Machine, Step};
use super::folio::FolioOp;
use super::lock::{Class, Mode};
use super::op::{Expr, Flag, LockRef, Op, Reg, RegInfo, Source};
use super::pagevec::Pagevec;
use super::world::{Pmd, Region, RegionKind, World};

/// What drawings call a base page: `head`, `tail 3`, `page 5`; a letter tells huge pages apart.
pub fn page_name(world: &World, page: u16) -> String {
    let huge = |r: &&Region| matches!(r.kind, RegionKind::Thp | RegionKind::FileThp);
    let thps = world.regions.iter().filter(huge).count();
    let region = world.regions.get(world.region_of(page));
    match region.filter(|r| huge(r) && r.pages().contains(&page)) {
        Some(r) => {
            let which = world.regions.iter().filter(huge);
            let ordinal = which.take_while(|o| o.start < r.start).count();
            let of = if thps > 1 {
                format!(" of THP {ordinal}")
            } else {
                String::new()
            };
            match page - r.start {
                0 => format!("head{of}"),
                i => format!("tail {i}{of}"),
            }
        }
        None if world.address_of(page) != page => format!("new page {}", world.address_of(page)),
        None => format!("page {page}"),
    }
}

/// How the parts of an instruction read.
pub(super) trait Words {
    fn page(&self, expr: &Expr) -> String;
    fn number(&self, expr: &Expr) -> String;
    fn reg(&self, reg: Reg) -> String;
    /// What is fetched from `source` into `reg`.
    fn load(&self, reg: Reg, source: String) -> String;
}

/// The reading of an instruction in variable names.
pub(super) fn static_text(op: &Op, regs: &[RegInfo]) -> String {
    text(op, &Names(regs))
}

impl Machine {
    /// What `cpu` does next in `state`, in the words of the kernel and with the values of the moment.
    pub fn describe(&self, state: &[u64], cpu: usize) -> String {
        let pc = usize::from(self.state(state).pc(cpu));
        let Some(instr) = self.programs[cpu].code.get(pc) else {
            return "(finished)".to_owned();
        };
        let mut out = text(
            &instr.op,
            &Values {
                machine: self,
                state,
                cpu,
            },
        );
        let mut next = Vec::new();
        // What was found is told with the step that finds it.
        match (&instr.op, self.step(state, cpu, &mut next)) {
            (Op::TryAcquire(..), Step::Moved(_)) => {
                let taken = self.held_more(state, &next, cpu);
                out += if taken { ": taken" } else { ": no" };
            }
            (Op::Folio(FolioOp::TryFreezeRefs(p, _)), Step::Moved(_)) => {
                let page = self.eval(state, cpu, p) as u16;
                let frozen = self.layout.folio.frozen.get(&next, page);
                out += if frozen { ": frozen" } else { ": no" };
            }
            (Op::TestSet(..) | Op::TestClear(..) | Op::Load(..), _) => {
                out += &self.found(state, cpu, &instr.op);
            }
            _ => {}
        }
        out
    }

    fn held_more(&self, before: &[u64], after: &[u64], cpu: usize) -> bool {
        self.state(after).held(cpu).count() > self.state(before).held(cpu).count()
    }

    fn found(&self, state: &[u64], cpu: usize, op: &Op) -> String {
        let page = |e: &Expr| self.eval(state, cpu, e) as u16;
        let layout = &self.layout;
        let flag = |flag: Flag, e: &Expr| match flag {
            Flag::Mlocked => layout.mlocked.get(state, page(e)),
            Flag::Lru => layout.lru.get(state, page(e)),
            Flag::Unevictable => layout.folio.unevictable.get(state, page(e)),
            Flag::DoubleMap => layout.folio.double_map.get(state, page(e)),
        };
        match op {
            Op::TestSet(f, e, _) | Op::TestClear(f, e, _) => {
                format!(": was {}", u8::from(flag(*f, e)))
            }
            Op::Load(_, source) => match self.peek(state, cpu, source) {
                Some(value) => match source {
                    Source::Pmd(..) | Source::PmdAt(..) => {
                        let pmd = Pmd::ALL.get(value as usize);
                        format!(": {}", pmd.map_or("?", |p| p.name()))
                    }
                    _ => format!(": {value}"),
                },
                None => String::new(),
            },
            _ => String::new(),
        }
    }
}

/// Whether an expression is the size of a huge page less one, as which nothing else is used here.
fn is_page_mask(expr: &Expr) -> bool {
    matches!(expr, Expr::Const(mask @ 1..) if mask & mask.wrapping_add(1) == 0)
}

struct Names<'a>(&'a [RegInfo]);

impl Words for Names<'_> {
    fn page(&self, expr: &Expr) -> String {
        self.number(expr)
    }

    fn number(&self, expr: &Expr) -> String {
        match expr {
            Expr::Const(value) => minus(*value),
            Expr::Reg(reg) => self.reg(*reg),
            Expr::Sub(a, b) if **a == Expr::Const(0) => format!("−{}", self.number(b)),
            Expr::Add(a, b) => format!("{} + {}", self.number(a), self.number(b)),
            Expr::Sub(a, b) => format!("{} − {}", self.number(a), self.number(b)),
            // The same step at any size of huge page.
            Expr::And(a, b) if is_page_mask(b) => format!("({} & (P − 1))", self.number(a)),
            Expr::And(a, b) => format!("({} & {})", self.number(a), self.number(b)),
            Expr::Not(a) => format!("~{}", self.number(a)),
            Expr::Eq(a, b) => format!("{} == {}", self.number(a), self.number(b)),
            Expr::Lt(a, b) => format!("{} < {}", self.number(a), self.number(b)),
            Expr::Unsigned32(a) => format!("(unsigned int) {}", self.number(a)),
            Expr::NextIn(vec, _) => format!("page of {}", pagevec(*vec)),
            Expr::CountIn(vec) => format!("pagevec_count({})", pagevec(*vec)),
            Expr::BatchLen => "batch length".to_owned(),
            Expr::BatchPage(i) => format!("batch[{}]", self.number(i)),
            Expr::BatchKind(i) => format!("kind of batch[{}]", self.number(i)),
        }
    }

    fn reg(&self, reg: Reg) -> String {
        self.0
            .get(usize::from(reg.0))
            .map_or_else(|| "?".to_owned(), |info| info.name.clone())
    }

    fn load(&self, reg: Reg, source: String) -> String {
        format!("{} = {source}", self.reg(reg))
    }
}

struct Values<'a> {
    machine: &'a Machine,
    state: &'a [u64],
    cpu: usize,
}

impl Words for Values<'_> {
    fn page(&self, expr: &Expr) -> String {
        let page = self.machine.eval(self.state, self.cpu, expr);
        page_name(&self.machine.world, page as u16)
    }

    fn number(&self, expr: &Expr) -> String {
        minus(self.machine.eval(self.state, self.cpu, expr))
    }

    fn reg(&self, reg: Reg) -> String {
        Names(&self.machine.programs[self.cpu].regs).reg(reg)
    }

    /// The value stands behind it, so the variable need not be named.
    fn load(&self, _: Reg, source: String) -> String {
        source
    }
}

fn minus(value: i64) -> String {
    if value < 0 {
        format!("−{}", value.unsigned_abs())
    } else {
        value.to_string()
    }
}

pub(super) fn mm(index: u8) -> char {
    char::from(b'A' + index)
}

fn pagevec(vec: Pagevec) -> String {
    match vec {
        Pagevec::Own(batch) => batch.name().to_owned(),
        Pagevec::Of(cpu, batch) => format!("{} of CPU{cpu}", batch.name()),
    }
}

fn lock_text(lock: &LockRef, verb: &str, words: &dyn Words) -> String {
    let index = &lock.index;
    let of_mm = || match index {
        Expr::Const(i) => format!(" {}", mm(*i as u8)),
        _ => String::new(),
    };
    match (lock.class, verb) {
        (Class::MmapSem, _) => format!("{verb}(mmap_sem{})", of_mm()),
        (Class::PageLock, _) => format!("{verb}_page({})", words.page(index)),
        (Class::AnonVma, _) => format!("{verb}(anon_vma)"),
        (Class::PageTable, _) => format!("spin_{verb}(page_table_lock{})", of_mm()),
        (Class::Lru, _) => format!("spin_{verb}_irq(lru_lock)"),
        (Class::Compound, _) => format!("compound_{verb}({})", words.page(index)),
    }
}

fn source_text(source: &Source, words: &dyn Words) -> String {
    match source {
        Source::Flag(flag, p) => format!("Page{}({})", flag.name(), words.page(p)),
        Source::PageLocked(p) => format!("PageLocked({})", words.page(p)),
        Source::PageCompound(p) => format!("PageCompound({})", words.page(p)),
        Source::NrPages(p) => format!("hpage_nr_pages({})", words.page(p)),
        Source::Mapcount(p) => format!("page_mapcount({})", words.page(p)),
        Source::Pmd(m, region) => format!("pmd of {}, region {region}", mm(*m)),
        Source::PmdAt(m, p) => format!("pmd of {} at {}", mm(*m), words.number(p)),
        Source::PtePresent(m, p) => format!("pte_present({}, {})", mm(*m), words.number(p)),
        Source::VmLockedIn(area) => format!("VM_LOCKED({})", mm(area.mm)),
        Source::VmLocked(m, p) => format!("VM_LOCKED({}, {})", mm(*m), words.number(p)),
        Source::PageTransHuge(p) => format!("PageTransHuge({})", words.page(p)),
        Source::HasMapping(p) => format!("{}->mapping", words.page(p)),
        Source::PageAt(m, p) => format!("pte of {} at {}", mm(*m), words.number(p)),
        Source::PteMaps(m, p) => format!("pte of {} maps {}", mm(*m), words.page(p)),
        Source::HeldElsewhere(p) => format!("page_count({}) too high", words.page(p)),
        Source::MigrationAt(m, p) => {
            format!("is_migration_entry({}, {})", mm(*m), words.number(p))
        }
        Source::Folio(source) => source.text(words),
    }
}

fn text(op: &Op, words: &dyn Words) -> String {
    match op {
        Op::Set(reg, value) => format!("{} = {}", words.reg(*reg), words.number(value)),
        Op::Jump(_) => "goto".to_owned(),
        Op::Branch(value, _) => format!("if {}", words.number(value)),
        Op::Enter(_) => "call".to_owned(),
        Op::Leave(_) => "return".to_owned(),
        Op::Acquire(lock, mode) if lock.class == Class::MmapSem => lock_text(
            lock,
            if *mode == Mode::Shared {
                "down_read"
            } else {
                "down_write"
            },
            words,
        ),
        Op::TryAcquire(lock, _, _) if lock.class == Class::MmapSem => {
            lock_text(lock, "down_read_trylock", words)
        }
        Op::Release(lock) if lock.class == Class::MmapSem => lock_text(lock, "up", words),
        Op::Acquire(lock, _) => lock_text(lock, "lock", words),
        Op::TryAcquire(lock, _, _) => lock_text(lock, "trylock", words),
        Op::Release(lock) | Op::ReleaseIfHeld(lock) => lock_text(lock, "unlock", words),
        Op::GetPage(p) => format!("get_page({})", words.page(p)),
        Op::GetPageUnlessZero(p, _) => format!("get_page_unless_zero({})", words.page(p)),
        Op::PutPage(p, _) => format!("put_page({})", words.page(p)),
        Op::PutSplitRef(p, _) => format!("put_page({})", words.page(p)),
        Op::Free(p) => format!("free {}", words.page(p)),
        Op::Load(reg, source) => words.load(*reg, source_text(source, words)),
        Op::BugOn(_, source, _) => format!("BUG_ON on {}", source_text(source, words)),
        Op::TestSet(flag, p, _) => format!("TestSetPage{}({})", flag.name(), words.page(p)),
        Op::TestClear(flag, p, _) => format!("TestClearPage{}({})", flag.name(), words.page(p)),
        Op::SetFlag(flag, p) => format!("SetPage{}({})", flag.name(), words.page(p)),
        Op::ModNrMlock(delta) => format!("NR_MLOCK += {}", words.number(delta)),
        Op::GetSplitRef(p) => format!("get_page({})", words.page(p)),
        Op::ClearTailFlags(p) => format!("clear all flags of {}", words.page(p)),
        Op::SetTailFlags(p, m) => {
            format!("set {} flags, mlocked = {}", words.page(p), words.number(m))
        }
        Op::ClearCompound(p) => format!("ClearPageCompound({})", words.page(p)),
        Op::SetPmd(m, _, pmd) => format!("pmd of {} = {}", mm(*m), pmd.name()),
        Op::FillTable(m, _) => format!("pmd of {} = table of ptes", mm(*m)),
        Op::ClearPte(m, p, _) => format!("clear pte of {} at {}", mm(*m), words.number(p)),
        Op::ClearHugePmd(m, ..) => format!("clear huge pmd of {}", mm(*m)),
        Op::CopyPmd(from, to, _) => format!("copy pmd of {} to {}", mm(*from), mm(*to)),
        Op::SetVmLocked(area, value) => {
            let sign = if *value { "|=" } else { "&= ~" };
            let (from, to) = (area.pages.start, area.pages.end.saturating_sub(1));
            format!("vm_flags {sign} VM_LOCKED ({}: {from}-{to})", mm(area.mm))
        }
        Op::VecAdd(vec, p) => format!("pagevec_add({}, {})", pagevec(*vec), words.page(p)),
        Op::VecTake(vec, p) => format!("{} out of {}", words.page(p), pagevec(*vec)),
        Op::VecMove(from, to, p) => {
            let (from, to) = (pagevec(*from), pagevec(*to));
            format!("{} from {from} to {to}", words.page(p))
        }
        Op::SetPte(m, p) => format!("pte of {} = {}", mm(*m), words.page(p)),
        Op::PteToMigration(m, p, _) => {
            format!("pte of {} = migration entry for {}", mm(*m), words.page(p))
        }
        Op::MigrationToPte(m, _, new) => format!("pte of {} = {}", mm(*m), words.page(new)),
        Op::ClearMigration(m, p) => {
            format!("clear migration entry of {} for {}", mm(*m), words.page(p))
        }
        Op::MakeCompound(_) => "prep_compound_page()".to_owned(),
        Op::Folio(op) => op.text(words),
    }
}
