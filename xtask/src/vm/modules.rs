//! Kernel modules for a guest, in the order in which plain `insmod` takes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::initramfs::Initramfs;
use crate::cmd;

/// Puts the modules and what they depend on into `lib/modules`; returns the order. A module that is not there is built
/// into the kernel.
pub(crate) fn pack(folder: &Path, wanted: &[&str], tree: &mut Initramfs) -> Result<Vec<String>> {
    let mut packer = Packer { files: BTreeMap::new(), seen: BTreeSet::new(), order: Vec::new(), tree };
    packer.index(folder)?;
    for name in wanted {
        packer.add(name)?;
    }
    Ok(packer.order)
}

struct Packer<'a> {
    files: BTreeMap<String, PathBuf>,
    seen: BTreeSet<String>,
    order: Vec<String>,
    tree: &'a mut Initramfs,
}

impl Packer<'_> {
    fn index(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            if kind.is_dir() {
                self.index(&path)?;
            } else if let Some((name, _)) = path.file_name().and_then(|name| name.to_str()?.split_once(".ko")) {
                self.files.insert(name.replace('-', "_"), path);
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str) -> Result<()> {
        let name = name.replace('-', "_");
        let Some(path) = self.files.get(&name).cloned() else { return Ok(()) };
        if !self.seen.insert(name.clone()) {
            return Ok(());
        }
        let module = unpacked(&path)?;
        for dependency in dependencies(&module) {
            self.add(&dependency)?;
        }
        let name = format!("{name}.ko");
        self.tree.file(&format!("lib/modules/{name}"), 0o644, &module);
        self.order.push(name);
        Ok(())
    }
}

fn unpacked(path: &Path) -> Result<Vec<u8>> {
    let tool = match path.extension().and_then(|ending| ending.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(path).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut command = Command::new(tool);
    command.arg("-dc").arg(path);
    let output = command.output().with_context(|| format!("cannot start {tool}"))?;
    ensure!(output.status.success(), "{} failed", cmd::shown(&command));
    Ok(output.stdout)
}

/// `depends=a,b` and `softdep=pre: a b` in the section `.modinfo`, whose entries end with a zero byte.
fn dependencies(module: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for entry in module.split(|byte| *byte == 0) {
        let Ok(entry) = std::str::from_utf8(entry) else { continue };
        let list = entry.strip_prefix("depends=").or_else(|| entry.strip_prefix("softdep=pre:"));
        let list = list.unwrap_or_default().split([',', ' ']);
        names.extend(list.take_while(|name| *name != "post:").filter(|name| !name.is_empty()).map(str::to_owned));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_dependency_are_read() {
        let module = b"\x7fELF\xff\0depends=virtio,virtio-ring\0name=x\0softdep=pre: crc32c post: y\0";
        assert_eq!(dependencies(module), ["virtio", "virtio-ring", "crc32c"]);
    }
}
