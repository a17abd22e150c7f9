//! The kernel's side of the claim: mlock accounting as the kernel does it, lock by lock.
//!
//! Two layers:
//!
//! * [`machine`] is a small shared-memory computer: pages with flags, page tables, locks that know
//!   their class, one statistic, a handful of CPUs.
//!   One instruction is one atomic action on shared memory.
//! * [`kernel`] holds the kernel's functions, written once each as ordinary Rust that *emits*
//!   instructions ([`machine::Asm`]), and one [`kernel::Kernel`] per era or proposed fix that says
//!   which of them it is made of.
//!
//! Every function cites the commit or mail it was read in.
//! Facts carry over from the kernel's sources; neither code nor sentences do.
//!
//! # What this does not model
//!
//! * Memory ordering: the machine is sequentially consistent, one instruction at a time.
//! * Interrupts: "irqs off" is a rule about lock classes ([`machine::Class::irqs_off`]), not an actor.
//! * Per-CPU page vectors of the lists: a page that is put back is on its list at once. The batches
//!   of mlock and munlock since v5.18 are modelled.
//! * The references that isolation and the mmu gather hold on a page (nothing up to v4.4 counts
//!   them; a page freed by an unmap is freed at once instead of at the end of the batch).
//! * Page contents, writeback and swap; migration that succeeds; page faults: memory is populated
//!   from the start.
//! * Virtual memory areas as objects: `VM_LOCKED` is kept per address, and each region of memory is
//!   an area of its own with its own `anon_vma`.

pub mod kernel;
pub mod machine;
