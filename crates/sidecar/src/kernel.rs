//! Loads modules into the host's kernel and changes its settings; what is as desired already is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fault::{At, Fault};
use crate::host::run;

/// Where the kernel lists its modules, loaded and built in.
const MODULES: &str = "/sys/module";
/// The files of the kernel's settings.
const SETTINGS: &str = "/proc/sys";

/// Loads the modules, which provide settings of their own, and then changes the settings.
pub(crate) fn set(modules: &BTreeSet<Arc<str>>, sysctls: &BTreeMap<Arc<str>, Arc<str>>) -> Result<(), Fault> {
    modules.iter().try_for_each(|module| load(module))?;
    sysctls.iter().try_for_each(|(name, value)| set_one(Path::new(SETTINGS), name, value))
}

fn load(module: &str) -> Result<(), Fault> {
    if Path::new(MODULES).join(module).exists() {
        return Ok(());
    }
    let loaded = run("modprobe", &[module], None).at(format!("the kernel module {module}"))?;
    // One that is built in and has no settings has no directory, and modprobe succeeds for it.
    loaded.map(drop).ok_or_else(|| Fault::Refused {
        path: format!("the kernel module {module}"),
        why: "it is not loaded, and the host has no modprobe".to_owned(),
    })
}

fn set_one(settings: &Path, name: &str, value: &str) -> Result<(), Fault> {
    let path = place(settings, name);
    let seen = fs::read_to_string(&path).at(name)?;
    if words(&seen).eq(words(value)) { Ok(()) } else { fs::write(&path, value).at(name) }
}

fn place(settings: &Path, name: &str) -> PathBuf {
    settings.join(name.replace('.', "/"))
}

/// A setting of several values is read with tabs between them, and may be written with blanks.
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split_whitespace()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn only_what_differs_is_set_and_what_is_not_there_is_reported() {
        let settings = tempfile::tempdir().unwrap();
        let forward = place(settings.path(), "net.ipv4.ip_forward");
        fs::create_dir_all(forward.parent().unwrap()).unwrap();
        fs::write(&forward, "0\n").unwrap();
        set_one(settings.path(), "net.ipv4.ip_forward", "1").unwrap();
        assert_eq!(fs::read_to_string(&forward).unwrap(), "1");

        fs::write(&forward, "1\t2\n").unwrap();
        let before = fs::metadata(&forward).unwrap().mtime_nsec();
        set_one(settings.path(), "net.ipv4.ip_forward", "1 2").unwrap();
        assert_eq!(fs::metadata(&forward).unwrap().mtime_nsec(), before);

        let missing = set_one(settings.path(), "net.bridge.bridge-nf-call-iptables", "1").unwrap_err();
        assert_eq!(
            missing.to_string(),
            "net.bridge.bridge-nf-call-iptables: No such file or directory (os error 2)"
        );
    }
}
