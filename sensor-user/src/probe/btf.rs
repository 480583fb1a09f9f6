//! A small walker over the kernel's BTF: member offsets, prototypes of tracepoints and functions. `aya_obj::btf::Btf`
//! keeps members to itself, and CO-RE needs a C shim; see docs/decisions.

use std::{collections::HashMap, ops::Range};

use thiserror::Error;

/// BTF that does not parse.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    /// The magic number is not BTF's.
    #[error("not BTF: magic number is missing")]
    Magic,
    /// A section or type reaches beyond the data.
    #[error("BTF is cut short at byte {0}")]
    Short(usize),
    /// A kind that this walker does not know: its size is unknown, so nothing behind it can be read.
    #[error("BTF type {id} has the unknown kind {kind}")]
    Kind {
        /// Type id.
        id: usize,
        /// Kind number.
        kind: u32,
    },
}

const PTR: u32 = 2;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

/// Parsed BTF: the kernel's, and behind it that of one module.
pub struct Btf {
    data: Vec<u8>,
    strings: Range<usize>,
    types: Vec<usize>,
    names: Names,
    /// How much of `data` and of `types` is the kernel's.
    kernel: (usize, usize),
    module_strings: Range<usize>,
    module_names: Names,
}

type Names = HashMap<String, Vec<u32>>;

impl Btf {
    /// Parses vmlinux BTF.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let (types, strings) = sections(&data)?;
        let mut btf = Self {
            data,
            strings,
            types: vec![0],
            names: Names::new(),
            kernel: (0, 0),
            module_strings: 0..0,
            module_names: Names::new(),
        };
        btf.names = btf.index(types.start, types.end)?;
        btf.kernel = (btf.data.len(), btf.types.len());
        Ok(btf)
    }

    /// The same with the types of one module, whose numbers and strings go on where the kernel's end; in place of those of the
    /// last one.
    pub fn with_module(mut self, module: &[u8]) -> Result<Self, BtfError> {
        let (types, strings) = sections(module)?;
        let (at, known) = self.kernel;
        self.data.truncate(at);
        self.types.truncate(known);
        self.data.extend_from_slice(module);
        self.module_strings = at + strings.start..at + strings.end;
        self.module_names = self.index(at + types.start, at + types.end)?;
        Ok(self)
    }

    fn index(&mut self, mut at: usize, end: usize) -> Result<Names, BtfError> {
        let mut names = Names::new();
        while at < end {
            let id = self.types.len();
            let (name, info) = (read_u32(&self.data, at)?, read_u32(&self.data, at + 4)?);
            let (members, kind) = ((info & 0xffff) as usize, info >> 24 & 0x1f);
            self.types.push(at);
            if name != 0 && matches!(kind, STRUCT | UNION | TYPEDEF | FUNC) {
                let name = self.string(name).to_owned();
                names.entry(name).or_default().push(id as u32);
            }
            at += 12 + payload(kind, members).ok_or(BtfError::Kind { id, kind })?;
        }
        Ok(names)
    }

    /// Byte offset of a member: `struct.member.member`, through unnamed structs and unions; `|` separates alternatives,
    /// the first that exists counts. Bit fields have no byte offset.
    pub fn offset(&self, spec: &str) -> Option<u64> {
        spec.split('|').find_map(|path| {
            let mut parts = path.split('.');
            let mut ty = self.find(parts.next()?, STRUCT)?;
            let mut bits = 0;
            for part in parts {
                let (offset, member) = self.member(ty, part, 0)?;
                bits += offset;
                ty = self.strip(member);
            }
            (bits % 8 == 0).then_some(u64::from(bits / 8))
        })
    }

    /// The name of a member's type, as `u8 *`.
    pub fn type_of(&self, structure: &str, member: &str) -> Option<String> {
        let (_, ty) = self.member(self.find(structure, STRUCT)?, member, 0)?;
        Some(self.name_of(ty))
    }

    /// The value of an enumerator, whatever its enum is called.
    pub fn enumerator(&self, name: &str) -> Option<u32> {
        (1..self.types.len() as u32).find_map(|id| {
            let (kind, members, _) = self.info(id)?;
            let at = *self.types.get(id as usize)? + 12;
            let member =
                |i: usize| Some((read_u32(&self.data, at + i * 8).ok()?, read_u32(&self.data, at + i * 8 + 4).ok()?));
            let mut members = (0..members).filter_map(member);
            (kind == ENUM).then(|| members.find(|(text, _)| self.string(*text) == name))?.map(|(_, value)| value)
        })
    }

    /// The number of a function in the kernel's own types.
    pub fn function_number(&self, name: &str) -> Option<u32> {
        self.find(name, FUNC)
    }

    /// The number of a struct in the kernel's own types.
    pub fn struct_number(&self, name: &str) -> Option<u32> {
        self.find(name, STRUCT)
    }

    /// True when the kernel has a function of this name.
    pub fn has_function(&self, name: &str) -> bool {
        self.function_number(name).is_some()
    }

    /// Names of the types of a raw tracepoint's arguments (`struct inode *`), or `None` when there is no such tracepoint.
    pub fn tracepoint(&self, name: &str) -> Option<Vec<String>> {
        let typedef = self.find(&format!("btf_trace_{name}"), TYPEDEF)?;
        let proto = self.info(self.info(typedef)?.2)?.2;
        // The first parameter is the tracepoint's private data.
        self.arguments(proto, 1)
    }

    /// The same of a function.
    pub fn function(&self, name: &str) -> Option<Vec<String>> {
        let function = self.find(name, FUNC)?;
        self.arguments(self.info(function)?.2, 0)
    }

    fn arguments(&self, proto: u32, from: usize) -> Option<Vec<String>> {
        let (kind, members, _) = self.info(proto)?;
        let at = *self.types.get(proto as usize)? + 12;
        (kind == FUNC_PROTO).then(|| {
            (from..members).filter_map(|i| read_u32(&self.data, at + i * 8 + 4).ok()).map(|t| self.name_of(t)).collect()
        })
    }

    fn string(&self, at: u32) -> &str {
        let at = at as usize;
        let (section, at) = match at.checked_sub(self.strings.len()) {
            Some(more) if !self.module_strings.is_empty() => (&self.module_strings, more),
            _ => (&self.strings, at),
        };
        let bytes = &self.data[section.start.saturating_add(at).min(section.end)..section.end];
        let len = bytes.iter().position(|b| *b == 0).unwrap_or(0);
        std::str::from_utf8(&bytes[..len]).unwrap_or("")
    }

    /// Kind, number of members, size or referred type.
    fn info(&self, id: u32) -> Option<(u32, usize, u32)> {
        let at = *self.types.get(id as usize).filter(|at| **at != 0)?;
        let info = read_u32(&self.data, at + 4).ok()?;
        Some((info >> 24 & 0x1f, (info & 0xffff) as usize, read_u32(&self.data, at + 8).ok()?))
    }

    /// The first type of that name and kind that has content: forward-like duplicates have none.
    fn find(&self, name: &str, kind: u32) -> Option<u32> {
        let known = [&self.names, &self.module_names].into_iter().filter_map(|names| names.get(name));
        known.flatten().copied().find(|id| {
            self.info(*id).is_some_and(|(k, members, _)| k == kind && (kind == FUNC || kind == TYPEDEF || members > 0))
        })
    }

    /// Follows typedefs and qualifiers.
    fn strip(&self, mut id: u32) -> u32 {
        for _ in 0..16 {
            match self.info(id) {
                Some((8..=11 | 18, _, ty)) => id = ty,
                _ => break,
            }
        }
        id
    }

    /// Bit offset and type of a member; unnamed members are searched too.
    fn member(&self, id: u32, name: &str, depth: u32) -> Option<(u32, u32)> {
        let (kind, members, _) = self.info(id)?;
        let at = *self.types.get(id as usize)?;
        if !matches!(kind, STRUCT | UNION) || depth > 8 {
            return None;
        }
        let flagged = read_u32(&self.data, at + 4).ok()? >> 31 == 1;
        (0..members).find_map(|i| {
            let member = at + 12 + i * 12;
            let (text, ty, raw) = (
                read_u32(&self.data, member).ok()?,
                read_u32(&self.data, member + 4).ok()?,
                read_u32(&self.data, member + 8).ok()?,
            );
            let (offset, size) = if flagged { (raw & 0xff_ffff, raw >> 24) } else { (raw, 0) };
            if self.string(text).is_empty() {
                let (inner, ty) = self.member(self.strip(ty), name, depth + 1)?;
                Some((offset + inner, ty))
            } else {
                (self.string(text) == name && size == 0).then_some((offset, ty))
            }
        })
    }

    fn name_of(&self, id: u32) -> String {
        let Some((kind, _, ty)) = self.info(id) else { return "void".to_owned() };
        let name =
            self.types.get(id as usize).and_then(|at| read_u32(&self.data, *at).ok()).map_or("", |n| self.string(n));
        match kind {
            PTR => format!("{} *", self.name_of(ty)),
            9..=11 | 18 => self.name_of(ty),
            STRUCT => format!("struct {name}"),
            UNION => format!("union {name}"),
            _ => name.to_owned(),
        }
    }
}

/// Where types and strings lie.
fn sections(data: &[u8]) -> Result<(Range<usize>, Range<usize>), BtfError> {
    if data.get(..2) != Some(&[0x9f, 0xeb]) {
        return Err(BtfError::Magic);
    }
    let word = |at: usize| read_u32(data, at).map(|word| word as usize);
    let header = word(4)?;
    let section = |at: usize| -> Result<Range<usize>, BtfError> {
        let start = header.saturating_add(word(at)?);
        Ok(start..start.saturating_add(word(at + 4)?))
    };
    let (types, strings) = (section(8)?, section(16)?);
    if types.end > data.len() || strings.end > data.len() {
        return Err(BtfError::Short(data.len()));
    }
    Ok((types, strings))
}

/// Bytes behind a type's 12-byte head, by kind (include/uapi/linux/btf.h, kinds up to ENUM64).
fn payload(kind: u32, members: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,
        2 | 7..=12 | 16 | 18 => 0,
        3 => 12,
        4 | 5 | 15 | 19 => members * 12,
        6 | 13 => members * 8,
        _ => return None,
    })
}

fn read_u32(data: &[u8], at: usize) -> Result<u32, BtfError> {
    let bytes = data.get(at..at.saturating_add(4)).ok_or(BtfError::Short(at))?;
    Ok(u32::from_ne_bytes(bytes.try_into().map_err(|_| BtfError::Short(at))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Btf {
        Btf::parse(std::fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap()
    }

    #[test]
    fn finds_members_through_unnamed_unions_and_alternatives() {
        let btf = host();
        assert_eq!(btf.offset("inode.i_mode"), Some(0));
        assert!(btf.offset("dentry.d_name.name").is_some());
        assert_eq!(btf.offset("nothing.at_all|inode.i_mode"), Some(0));
        assert_eq!(btf.offset("inode.no_such_member"), None);
    }

    #[test]
    fn tells_values_of_enums() {
        let btf = host();
        assert_eq!(btf.enumerator("PIDTYPE_TGID"), Some(1));
        assert_eq!(btf.enumerator("NO_SUCH_ENUMERATOR"), None);
    }

    #[test]
    fn tells_prototypes() {
        let btf = host();
        assert_eq!(btf.type_of("task_struct", "files"), Some("struct files_struct *".to_owned()));
        assert_eq!(btf.type_of("task_struct", "no_such_member"), None);
        assert_eq!(btf.tracepoint("sys_enter"), Some(vec!["struct pt_regs *".to_owned(), "long int".to_owned()]));
        assert_eq!(btf.tracepoint("no_such_tracepoint"), None);
        assert_eq!(btf.function("security_file_open"), Some(vec!["struct file *".to_owned()]));
        assert_eq!(btf.function("no_such_function"), None);
    }

    /// A module with `struct more { struct inode; }`: its one string follows the kernel's, and so does its number.
    #[test]
    fn a_module_goes_on_where_the_kernel_ends() {
        let base = host();
        let (name, inode) = (base.strings.len() as u32, base.find("inode", STRUCT).unwrap());
        let words = [0x1_eb9f_u32, 24, 0, 24, 24, 5, name, STRUCT << 24 | 1, 8, name, inode, 64];
        let mut module: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        module.extend(b"more\0");
        let (own, btf) = (base.offset("inode.i_sb").unwrap(), base.with_module(&module).unwrap());
        assert_eq!(btf.offset("more.more.i_sb"), Some(own + 8));
        assert_eq!(btf.offset("inode.i_sb"), Some(own));
        let at = module.len() - 5;
        module[at..].copy_from_slice(b"next\0");
        let btf = btf.with_module(&module).unwrap();
        assert_eq!((btf.offset("more.more.i_sb"), btf.offset("next.next.i_sb")), (None, Some(own + 8)));
        assert!(host().with_module(&module[..30]).is_err());
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let good = std::fs::read("/sys/kernel/btf/vmlinux").unwrap();
        assert_eq!(Btf::parse(vec![]).err(), Some(BtfError::Magic));
        for cut in [2, 8, 20, 24, 100, good.len() - 1] {
            assert!(Btf::parse(good[..cut].to_vec()).is_err(), "{cut}");
        }
        let mut bad = good[..4096].to_vec();
        bad[8..24].fill(0xff);
        assert!(Btf::parse(bad).is_err());
    }
}
