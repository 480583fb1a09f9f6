//! `struct file` and `struct inode`.

use sensor_abi::{key::CarrierKey, offsets::MISSING, record::FileInfo};

use super::{cast, fuse::Connection, load, offset, read, setting, tty::Tty};

const S_IFMT: u32 = 0xf000;
const S_IFREG: u32 = 0x8000;
const S_IFIFO: u32 = 0x1000;
const S_IFCHR: u32 = 0x2000;
const S_IFBLK: u32 = 0x6000;
const S_IFSOCK: u32 = 0xc000;
const LOOP_MAJOR: u32 = 7;
const MINOR_BITS: u32 = 20;
const TTY_AUX_MAJOR: u32 = 5;
const PTMX: u32 = TTY_AUX_MAJOR << MINOR_BITS | 2;
const PTS_MAJOR: u32 = 136;
const PTS_LAST_MAJOR: u32 = 143;
const FUSE_DEVICE: u32 = 0x0a << MINOR_BITS | 0xe5;
const O_APPEND: u32 = 0o2000;
/// `O_ACCMODE`, and of its values `O_WRONLY`.
const O_ACCMODE: u32 = 3;
const O_WRONLY: u32 = 1;
/// `/proc`.
pub const PROC_SUPER_MAGIC: u64 = 0x9fa0;
const PIPEFS_MAGIC: u64 = 0x5049_5045;
const TMPFS_MAGIC: u64 = 0x0102_1994;
const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;
const FUSE_SUPER_MAGIC: u64 = 0x6573_5546;

/// What a file is to us.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Anything else.
    Other = 0,
    /// A regular file.
    Regular = 1,
    /// A pipe or FIFO.
    Pipe = 2,
    /// A socket.
    Socket = 3,
    /// A block device.
    Block = 4,
    /// A terminal.
    Tty = 5,
    /// `/dev/fuse`.
    Fuse = 6,
}

impl Kind {
    /// What one is to the exported functions, which give numbers only.
    #[inline(always)]
    pub const fn of_number(number: u32) -> Self {
        match number {
            1 => Self::Regular,
            2 => Self::Pipe,
            3 => Self::Socket,
            4 => Self::Block,
            5 => Self::Tty,
            6 => Self::Fuse,
            _ => Self::Other,
        }
    }
}

/// Where an inode's data is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// In it.
    Plain,
    /// In the one that overlayfs has put it on.
    Overlay,
    /// Nowhere, or in the memory of processes.
    Proc,
}

/// A `struct vm_area_struct`, an argument of a function, by address.
#[derive(Clone, Copy)]
pub struct Mapping(pub u64);

/// `VM_SHARED`
const VM_SHARED: u64 = 8;

impl Mapping {
    /// The file that it shares; address 0 when it shares none.
    #[inline(always)]
    pub fn shared_file(self) -> File {
        let flags: u64 = load(self.0, offset!(vma_flags));
        File(if flags & VM_SHARED == 0 { 0 } else { load(self.0, offset!(vma_file)) })
    }
    /// Bytes.
    #[inline(always)]
    pub fn length(self) -> u64 {
        let [start, end] = [offset!(vma_start), offset!(vma_end)].map(|offset| load::<u64>(self.0, offset));
        end.wrapping_sub(start)
    }
}

/// An open file, by address.
#[derive(Clone, Copy)]
pub struct File(pub u64);

impl File {
    /// Its inode.
    #[inline(always)]
    pub fn inode(self) -> Inode {
        Inode(read(self.0, offset!(file_inode)))
    }
    /// The same, where the file is an argument of a function, or what one points to.
    #[inline(always)]
    pub fn typed_inode(self) -> TypedInode {
        TypedInode(load(self.0, offset!(file_inode)))
    }
    /// What it is, and of a regular one where that is and whether its data is elsewhere; by loads where that can be.
    #[inline(always)]
    pub fn glance(self) -> (Kind, Option<(Place, Layer)>) {
        if setting!(file_type) != 0 {
            let inode = Self(cast(self.0, setting!(file_type))).typed_inode();
            let kind = inode.kind();
            return (kind, (kind == Kind::Regular).then(|| inode.place()));
        }
        let inode = self.inode();
        let kind = inode.kind();
        (kind, (kind == Kind::Regular).then(|| inode.place()))
    }
    /// The `struct sock` behind a socket file.
    #[inline(always)]
    pub fn sock(self) -> u64 {
        read(self.private(), offset!(socket_sk))
    }
    /// The end of the terminal that it is.
    #[inline(always)]
    pub fn tty(self) -> Tty {
        Tty::of_private(self.private())
    }
    /// Where a call of the write(2) kind that names no position begins, when the data is in this inode. At the end, for a
    /// file opened with `O_APPEND`.
    #[inline(always)]
    pub fn position(self, inode: Inode) -> u64 {
        if read::<u32>(self.0, offset!(file_flags)) & O_APPEND != 0 {
            return inode.size();
        }
        self.reached()
    }
    /// Where the next read(2) begins.
    #[inline(always)]
    pub fn reached(self) -> u64 {
        read(self.0, offset!(file_pos))
    }
    /// False when it was opened for writing only.
    #[inline(always)]
    pub fn is_for_reading(self) -> bool {
        read::<u32>(self.0, offset!(file_flags)) & O_ACCMODE != O_WRONLY
    }
    /// True when it was opened for reading only.
    #[inline(always)]
    pub fn is_only_read(self) -> bool {
        read::<u32>(self.0, offset!(file_flags)) & O_ACCMODE == 0
    }
    /// Of an open loop device: the inode of the file behind it.
    #[inline(always)]
    pub fn behind_loop(self) -> Option<Inode> {
        if offset!(loop_file) == MISSING || offset!(bdev_inode) == MISSING {
            return None;
        }
        let host: u64 = read(read(self.0, offset!(file_mapping)), offset!(mapping_host));
        let device = host.wrapping_sub(offset!(bdev_inode)).wrapping_add(offset!(bdev_bdev));
        let disk: u64 = read(device, offset!(bdev_disk));
        if read::<u32>(disk, offset!(disk_major)) != LOOP_MAJOR {
            return None;
        }
        let behind = Self(read(read(disk, offset!(disk_private)), offset!(loop_file)));
        (behind.0 != 0).then(|| behind.inode())
    }
    /// `private_data`.
    #[inline(always)]
    pub fn private(self) -> u64 {
        read(self.0, offset!(file_private))
    }
    /// The first eight bytes of its name.
    #[inline(always)]
    pub fn name(self) -> u64 {
        read(read(read(self.0, offset!(file_dentry)), offset!(dentry_name)), 0)
    }
    /// Dentry and mount: where a path walk starts.
    #[inline(always)]
    pub fn path(self) -> (u64, u64) {
        (read(self.0, offset!(file_dentry)), read(self.0, offset!(file_mnt)))
    }
}

/// The file of a `struct kiocb` that is an argument of a function.
#[inline(always)]
pub fn request_file(request: u64) -> File {
    File(load(request, offset!(kiocb_file)))
}

/// The file that a `struct coredump_params` names.
#[inline(always)]
pub fn dump_file(parameters: u64) -> File {
    File(read(parameters, offset!(cprm_file)))
}

/// A dentry, by address.
#[derive(Clone, Copy)]
pub struct Dentry(pub u64);

impl Dentry {
    /// Its inode.
    #[inline(always)]
    pub fn inode(self) -> Inode {
        Inode(read(self.0, offset!(dentry_inode)))
    }
}

/// An inode whose type the verifier knows: the hot path.
#[derive(Clone, Copy)]
pub struct TypedInode(u64);

impl TypedInode {
    /// As any other.
    #[inline(always)]
    pub const fn any(self) -> Inode {
        Inode(self.0)
    }
    /// See [`Inode::kind`].
    #[inline(always)]
    pub fn kind(self) -> Kind {
        let mode = u32::from(load::<u16>(self.0, offset!(inode_mode)));
        if mode & S_IFMT == S_IFCHR { device(load(self.0, offset!(inode_rdev))) } else { kind(mode) }
    }
    /// True for a pipe that is no FIFO.
    #[inline(always)]
    pub fn is_nameless(self) -> bool {
        let sb: u64 = load(self.0, offset!(inode_sb));
        load::<u64>(sb, offset!(sb_magic)) == PIPEFS_MAGIC
    }
    /// See [`Inode::plain_key`].
    #[inline(always)]
    pub fn plain_key(self) -> CarrierKey {
        let sb: u64 = load(self.0, offset!(inode_sb));
        let place = Place { ino: load(self.0, offset!(inode_ino)), dev: load(sb, offset!(sb_dev)) };
        place.key(load(self.0, offset!(inode_generation)))
    }
    /// See [`Inode::place`].
    #[inline(always)]
    pub fn place(self) -> (Place, Layer) {
        let sb: u64 = load(self.0, offset!(inode_sb));
        let place = Place { ino: load(self.0, offset!(inode_ino)), dev: load(sb, offset!(sb_dev)) };
        (place, layer(load(sb, offset!(sb_magic))))
    }
}

/// Where an inode is: all of its key but the generation.
#[derive(Clone, Copy)]
pub struct Place {
    /// Inode number.
    pub ino: u64,
    /// Device number.
    pub dev: u32,
}

impl Place {
    /// The key of the inode of this generation.
    #[inline(always)]
    pub const fn key(self, generation: u32) -> CarrierKey {
        CarrierKey { id: self.ino, dev: self.dev, generation }
    }
}

/// A terminal is `/dev/tty`, `/dev/ptmx`, or the other end of a pseudo-terminal.
#[inline(always)]
fn device(number: u32) -> Kind {
    match number >> MINOR_BITS {
        TTY_AUX_MAJOR | PTS_MAJOR..=PTS_LAST_MAJOR => Kind::Tty,
        _ if number == FUSE_DEVICE => Kind::Fuse,
        _ => Kind::Other,
    }
}

#[inline(always)]
fn kind(mode: u32) -> Kind {
    match mode & S_IFMT {
        S_IFREG => Kind::Regular,
        S_IFIFO => Kind::Pipe,
        S_IFSOCK => Kind::Socket,
        S_IFBLK => Kind::Block,
        _ => Kind::Other,
    }
}

#[inline(always)]
fn layer(magic: u64) -> Layer {
    match magic {
        OVERLAYFS_SUPER_MAGIC if offset!(ovl_upper) != MISSING => Layer::Overlay,
        PROC_SUPER_MAGIC => Layer::Proc,
        _ => Layer::Plain,
    }
}

/// An inode, by address.
#[derive(Clone, Copy)]
pub struct Inode(pub u64);

impl Inode {
    /// `i_mode`.
    #[inline(always)]
    pub fn mode(self) -> u32 {
        u32::from(read::<u16>(self.0, offset!(inode_mode)))
    }
    /// What it is to us.
    #[inline(always)]
    pub fn kind(self) -> Kind {
        let mode = self.mode();
        if mode & S_IFMT == S_IFCHR { device(read(self.0, offset!(inode_rdev))) } else { kind(mode) }
    }
    /// Where it is, and whether its data is elsewhere.
    #[inline(always)]
    pub fn place(self) -> (Place, Layer) {
        let sb = self.sb();
        (Place { ino: self.number(), dev: read(sb, offset!(sb_dev)) }, layer(read(sb, offset!(sb_magic))))
    }
    /// `/dev/ptmx`, each opening of which makes a pseudo-terminal.
    #[inline(always)]
    pub fn is_multiplexer(self) -> bool {
        self.mode() & S_IFMT == S_IFCHR && read::<u32>(self.0, offset!(inode_rdev)) == PTMX
    }
    /// Inode number.
    #[inline(always)]
    pub fn number(self) -> u64 {
        read(self.0, offset!(inode_ino))
    }
    /// Size in bytes.
    #[inline(always)]
    pub fn size(self) -> u64 {
        read(self.0, offset!(inode_size))
    }
    /// Links.
    #[inline(always)]
    pub fn links(self) -> u32 {
        read(self.0, offset!(inode_nlink))
    }
    /// `i_pipe`: 0 when nobody has the pipe or FIFO open.
    #[inline(always)]
    pub fn pipe(self) -> u64 {
        read(self.0, offset!(inode_pipe))
    }
    /// True when it is being torn down, or was.
    #[inline(always)]
    pub fn is_gone(self) -> bool {
        read::<u32>(self.0, offset!(inode_state)) & setting!(inode_gone) != 0
    }
    /// `super_block.s_magic`.
    #[inline(always)]
    pub fn file_system(self) -> u64 {
        read(self.sb(), offset!(sb_magic))
    }
    /// Address of its super block.
    #[inline(always)]
    pub fn sb(self) -> u64 {
        read(self.0, offset!(inode_sb))
    }
    /// The connection whose server keeps its data; address 0 for what is not in user space.
    #[inline(always)]
    pub fn connection(self) -> Connection {
        connection(self.sb())
    }
    /// True on file systems that hold no data: proc, sysfs, cgroup2, debugfs, tracefs, bpf, securityfs; and of what
    /// shares one inode with all others, such as event counters and rings, whatever its mode says.
    #[inline(always)]
    pub fn is_pseudo(self) -> bool {
        matches!(
            self.file_system(),
            0x9fa0 | 0x6265_6572 | 0x6367_7270 | 0x6462_6720 | 0x7472_6163 | 0xcafe_4a11 | 0x7363_6673 | 0x0904_1934
        )
    }
    /// The key of this very inode, when it is no file of a server in user space.
    #[inline(always)]
    pub fn plain_key(self) -> CarrierKey {
        let dev = read(self.sb(), offset!(sb_dev));
        Place { ino: self.number(), dev }.key(read(self.0, offset!(inode_generation)))
    }
    /// The key of this very inode.
    #[inline(always)]
    pub fn own_key(self) -> CarrierKey {
        let sb = self.sb();
        Place { ino: self.number(), dev: read(sb, offset!(sb_dev)) }.key(self.generation())
    }
    /// What tells it from others that have, or had, its number on this device: `i_generation`, and for a file of a server in
    /// user space, which numbers as it likes, what the kernel has drawn for the connection; the next one may get the device.
    #[inline(always)]
    pub fn generation(self) -> u32 {
        let drawn = dumptrail_drawn(self.sb());
        read::<u32>(self.0, offset!(inode_generation)) ^ drawn
    }
    /// Whether its data is elsewhere.
    #[inline(always)]
    pub fn layer(self) -> Layer {
        layer(self.file_system())
    }
    /// The inode that holds the data: on overlayfs the upper one, where there is one; else itself.
    #[inline(always)]
    pub fn real(self) -> Self {
        let sb = self.sb();
        if offset!(ovl_upper) == MISSING || read::<u64>(sb, offset!(sb_magic)) != OVERLAYFS_SUPER_MAGIC {
            return self;
        }
        let upper: u64 = read(self.0.wrapping_sub(offset!(ovl_inode)), offset!(ovl_upper));
        if upper == 0 {
            return self;
        }
        Self(read(upper, offset!(dentry_inode)))
    }
    /// On overlayfs the inode below, whose bytes a copy-up has put into the upper one; address 0 elsewhere.
    // KERNEL(6.5): `oe` replaced `lowerpath` (5.19), which replaced `lower`.
    #[inline(always)]
    pub fn lower(self) -> Self {
        let sb = self.sb();
        if offset!(ovl_upper) == MISSING || read::<u64>(sb, offset!(sb_magic)) != OVERLAYFS_SUPER_MAGIC {
            return Self(0);
        }
        let overlay = self.0.wrapping_sub(offset!(ovl_inode));
        if offset!(ovl_entry) != MISSING && offset!(ovl_stack) != MISSING {
            let entry: u64 = read(overlay, offset!(ovl_entry));
            let first = entry.wrapping_add(offset!(ovl_stack));
            return of_dentry(if entry == 0 { 0 } else { read(first, offset!(ovl_stack_dentry)) });
        }
        if offset!(ovl_lower_dentry) != MISSING {
            return of_dentry(read(overlay, offset!(ovl_lower_dentry)));
        }
        if offset!(ovl_lower) == MISSING { Self(0) } else { Self(read(overlay, offset!(ovl_lower))) }
    }
    /// `i_writecount`: descriptors open for writing, when positive.
    #[inline(always)]
    pub fn writers(self) -> u32 {
        read(self.0, offset!(inode_writecount))
    }
    /// `i_readcount`: descriptors and mappings for reading only; `u32::MAX` when this kernel does not keep it.
    #[inline(always)]
    pub fn readers(self) -> u32 {
        if offset!(inode_readcount) == MISSING { u32::MAX } else { read(self.0, offset!(inode_readcount)) }
    }
    /// Some process has it mapped.
    #[inline(always)]
    pub fn is_mapped(self) -> bool {
        read::<u64>(read(self.0, offset!(inode_mapping)), offset!(mapping_mapped)) != 0
    }
    /// A dentry that names it; 0 when none is cached.
    #[inline(always)]
    pub fn dentry(self) -> u64 {
        let node: u64 = read(self.0, offset!(inode_dentry));
        if node == 0 { 0 } else { node.wrapping_sub(offset!(dentry_alias)) }
    }
    /// Fills in what a record says about a file.
    #[inline(always)]
    pub fn describe(self, info: &mut FileInfo) {
        info.object = self.0;
        info.size = self.size();
        info.magic = read(self.sb(), offset!(sb_magic));
        info.mode = self.mode();
        info.nlink = self.links();
        info.readers = self.readers();
        info.writers = self.writers();
    }
}

/// True for a super block whose files are nowhere but in memory: tmpfs, memfd, shared memory.
#[inline(always)]
pub fn is_in_memory(sb: u64) -> bool {
    read::<u64>(sb, offset!(sb_magic)) == TMPFS_MAGIC
}

/// True when no file system is mounted any more that has this super block and device number.
#[inline(always)]
pub fn is_unmounted(sb: u64, dev: u32) -> bool {
    read::<u32>(sb, offset!(sb_dev)) != dev || read::<i32>(sb, offset!(sb_active)) <= 0
}

#[inline(always)]
fn connection(sb: u64) -> Connection {
    if offset!(fuse_of_mount) == MISSING || read::<u64>(sb, offset!(sb_magic)) != FUSE_SUPER_MAGIC {
        return Connection(0);
    }
    Connection(read(read(sb, offset!(sb_private)), offset!(fuse_of_mount)))
}

/// Of a super block with a connection the random number of that; else 0.
// VERIFIER: see `engine::dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_drawn(sb: u64) -> u32 {
    let connection = connection(sb);
    if connection.0 == 0 || offset!(fuse_random) == MISSING { 0 } else { read(connection.0, offset!(fuse_random)) }
}

#[inline(always)]
fn of_dentry(dentry: u64) -> Inode {
    Inode(if dentry == 0 { 0 } else { read(dentry, offset!(dentry_inode)) })
}
