//! What each kernel promises: the contract that its steps are judged by.
//!
//! A kernel that is told as a difference promises what the one below it does.

use mlock_impl::kernel::Kernel;
use mlock_spec::Contract;

/// The kernels with which a contract began; those before the first promise the original.
const SINCE: [(&str, Contract); 2] = [("v4.5", Contract::V4_5), ("v5.18", Contract::V5_18)];

/// The contract of a kernel.
pub fn contract_of(kernel: &Kernel) -> Contract {
    let mut kernel = *kernel;
    loop {
        if let Some((_, contract)) = SINCE.iter().find(|(name, _)| *name == kernel.name) {
            return *contract;
        }
        match kernel.base.and_then(Kernel::named) {
            Some(base) => kernel = base,
            None => return Contract::ORIGINAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_promises_what_its_base_does() {
        let of = |name| contract_of(&Kernel::named(name).unwrap()).name;
        assert_eq!(of("v3.14"), "original");
        assert_eq!(of("fix-ptl-no-recheck"), "original");
        assert_eq!(of("v5.14"), "v4.5");
        assert_eq!(of("v6.18"), "v5.18");
        assert_eq!(of("fix-rmap-lock-late"), "v5.18");
    }

    #[test]
    fn every_contract_begins_with_a_kernel_there_is() {
        for (name, _) in SINCE {
            assert!(Kernel::named(name).is_some(), "{name}");
        }
    }
}
