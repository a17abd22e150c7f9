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
//! * The per-CPU page vectors on the way to the lists, but for what a scenario starts with in them: a
//!   page that is put back is on its list at once. The batches of mlock and munlock since v5.18 are
//!   modelled.
//! * The references that isolation and the mmu gather hold on a page (a page freed by an unmap is
//!   freed at once instead of at the end of the batch).
//! * Page contents, writeback and swap. Frames that a fault, a copy or a migration needs are there
//!   from the start, and mapped by nobody.
//! * Files: there is no page cache, and truncation is what it does to private copies. Of a huge page of a
//!   file what goes with its mappings is modelled, since v4.8.
//! * Virtual memory areas as objects: `VM_LOCKED` is kept per address, and each region of memory is
//!   an area of its own with its own `anon_vma`.
//!   Yet up to v5.17 the range of a call is taken for one area: munlock of a range in which some pages
//!   have `VM_LOCKED` visits all of it, where the kernel leaves out the areas that have not.

pub mod kernel;
pub mod machine;
