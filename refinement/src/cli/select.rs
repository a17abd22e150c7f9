//! From names on the command line to fixtures.

use super::Ended;
use super::options::Selection;
use mlock_impl::kernel::Kernel;
use mlock_refinement::fixture::{Concrete, Fixture, LoadError, Named, files, files_in_order, name};
use std::path::{Path, PathBuf};

/// The folder of the project's fixtures: here, or where the program was built.
fn folder() -> PathBuf {
    let here = PathBuf::from("fixtures");
    if here.is_dir() {
        here
    } else {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
    }
}

/// All fixtures of the project, in the order of the story.
pub fn all() -> Result<Vec<Named>, Ended> {
    let folder = folder();
    let paths = files_in_order(&folder).map_err(unreadable)?;
    Named::load_all(&paths, &folder).map_err(unreadable)
}

fn unreadable(error: LoadError) -> Ended {
    Ended::Unreadable(error.to_string())
}

/// The fixtures that a command line selects.
pub fn selected(what: &Selection) -> Result<Vec<Named>, Ended> {
    if let Some(kernel) = &what.kernel {
        kernel_named(kernel)?;
    }
    let of_kernel = |n: &Named| what.kernel.as_ref().is_none_or(|k| n.fixture.kernel == *k);
    if what.fixtures.is_empty() {
        let chosen: Vec<Named> = all()?.into_iter().filter(of_kernel).collect();
        return some(chosen, "no fixture is for this kernel");
    }
    let mut out = Vec::new();
    for wanted in &what.fixtures {
        let path = Path::new(wanted);
        if path.is_file() {
            out.push(Named::load(path, Path::new("")).map_err(unreadable)?);
        } else if path.is_dir() {
            // Names tell fixtures apart, so those of several folders must not be alike.
            let folder = folder();
            let root = if path.starts_with(&folder) {
                &folder
            } else {
                Path::new("")
            };
            let paths = files(path).map_err(unreadable)?;
            out.extend(Named::load_all(&paths, root).map_err(unreadable)?);
        } else {
            out.extend(called(wanted, of_kernel)?);
        }
    }
    Ok(out)
}

/// The fixtures of the project that a name stands for: a folder, a whole name, or its last part.
fn called(wanted: &str, of_kernel: impl Fn(&Named) -> bool) -> Result<Vec<Named>, Ended> {
    let folder = folder();
    let paths = files_in_order(&folder).map_err(unreadable)?;
    let those = |fits: &dyn Fn(&str) -> bool| {
        let paths = paths.iter().filter(|path| fits(&name(path, &folder)));
        let paths: Vec<PathBuf> = paths.cloned().collect();
        Named::load_all(&paths, &folder).map_err(unreadable)
    };
    let inside = those(&|name| name.starts_with(&format!("{wanted}/")))?;
    if !inside.is_empty() {
        return Ok(inside);
    }
    let named = those(&|name| name == wanted || name.ends_with(&format!("/{wanted}")))?;
    let named = some(
        named,
        &format!("no fixture, folder or file is called {wanted}; see `list`"),
    )?;
    // A name that several kernels have means those of the kernel asked for, if there are any.
    let own: Vec<Named> = named.iter().filter(|n| of_kernel(n)).cloned().collect();
    Ok(if own.is_empty() {
        named.into_iter().take(1).collect()
    } else {
        own
    })
}

fn some(found: Vec<Named>, otherwise: &str) -> Result<Vec<Named>, Ended> {
    if found.is_empty() {
        Err(Ended::NothingSelected(otherwise.to_owned()))
    } else {
        Ok(found)
    }
}

/// The kernel of that name.
pub fn kernel_named(name: &str) -> Result<Kernel, Ended> {
    Kernel::named(name).ok_or_else(|| {
        let names: Vec<&str> = Kernel::ALL.iter().map(|kernel| kernel.name).collect();
        Ended::Usage(format!(
            "no kernel is called {name}; there are {}",
            names.join(", ")
        ))
    })
}

/// The sizes to look at.
pub fn sizes(what: &Selection, fixture: &Fixture) -> Vec<u16> {
    what.pages
        .map_or_else(|| fixture.sizes().collect(), |pages| vec![pages])
}

/// A fixture at a size, under the kernel that was asked for.
pub fn concrete(what: &Selection, named: &Named, pages: u16) -> Result<Concrete, Ended> {
    if !pages.is_power_of_two() || !(2..=512).contains(&pages) {
        return Err(Ended::Usage(
            "--pages takes a power of two from 2 to 512".to_owned(),
        ));
    }
    let kernel = what.kernel.as_ref().unwrap_or(&named.fixture.kernel);
    named
        .fixture
        .concrete_under(kernel_named(kernel)?, pages)
        .map_err(|(_, wrong)| {
            Ended::Unreadable(format!("{} at {pages} pages: {wrong}", named.name))
        })
}
