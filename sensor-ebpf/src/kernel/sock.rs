//! `struct sock`.

use sensor_abi::{
    flow::Via,
    key::{CarrierKey, EndpointKey, class},
    offsets::MISSING,
    record::{SockInfo, port_of},
};

use super::{
    file::{File, Inode},
    load, offset, read, read_user,
};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const SOCK_DGRAM: u16 = 2;
const SOCK_RAW: u16 = 3;
const TCP_CLOSE: u8 = 7;
const TCP_LISTEN: u8 = 10;
/// `IPPROTO_TCP`
pub const IPPROTO_TCP: u16 = 6;
const IPPROTO_UDP: u16 = 17;
const IPPROTO_UDPLITE: u16 = 136;
const IPPROTO_MPTCP: u16 = 262;
/// `1 << SOCK_DEAD`.
const SOCK_DEAD: u64 = 1;
/// The word that makes `::ffff:a.b.c.d` of `a.b.c.d`, as it lies in memory.
const V4_MAPPED: u32 = 0xffff_0000;

/// A destination that a message names: where its `struct sockaddr` lies.
#[derive(Clone, Copy)]
pub struct Name {
    address: u64,
    /// 1 in kernel memory, where nobody changes it; a number so that a slot has no padding.
    kernel: u64,
}

impl Name {
    /// None.
    pub const NONE: Self = Self { address: 0, kernel: 0 };
    /// In the sender's memory; 0 for none.
    #[inline(always)]
    pub const fn user(address: u64) -> Self {
        Self { address, kernel: 0 }
    }
    /// Where it lies; 0 for none.
    #[inline(always)]
    pub const fn address(self) -> u64 {
        self.address
    }
    /// In kernel memory; 0 for none.
    #[inline(always)]
    pub const fn kernel(address: u64) -> Self {
        Self { address, kernel: 1 }
    }
    /// There is one.
    #[inline(always)]
    pub const fn is_given(self) -> bool {
        self.address != 0
    }
    /// The sender may change it before the kernel reads it.
    #[inline(always)]
    pub const fn is_raced(self) -> bool {
        self.address != 0 && self.kernel == 0
    }
    /// The family that it gives.
    #[inline(always)]
    pub fn family(self) -> u16 {
        self.read(0)
    }
    /// Its family and port. A family that is not given is the socket's own: for IPv4 (`udp_sendmsg`), and for raw IPv6
    /// (`rawv6_sendmsg`); with UDP over IPv6 there is no name then (`udpv6_sendmsg`).
    // VERIFIER: one read, for the stack.
    #[inline(always)]
    fn head(self, own: u16, kind: u16) -> (u16, u16) {
        let [family, port]: [u16; 2] = self.read(0);
        let as_own = family == 0 && (own == AF_INET || kind == SOCK_RAW);
        (if as_own { own } else { family }, u16::from_be(port))
    }
    #[inline(always)]
    fn read<T: Copy>(self, offset: u64) -> T {
        if self.kernel == 0 { read_user(self.address.wrapping_add(offset)) } else { read(self.address, offset) }
    }
}

/// A `struct socket`, by address.
#[derive(Clone, Copy)]
pub struct Socket(pub u64);

impl Socket {
    /// Its file; address 0 when it has none. The socket is an argument of a function.
    #[inline(always)]
    pub fn file(self) -> File {
        File(load(self.0, offset!(socket_file)))
    }
    /// The `struct sock` in it.
    #[inline(always)]
    pub fn sock(self) -> Sock {
        Sock(read(self.0, offset!(socket_sk)))
    }
}

/// Level and name of the option by which getsockopt(2) receives: `IPPROTO_TCP`, `TCP_ZEROCOPY_RECEIVE`.
pub const ZEROCOPY_RECEIVE: (u32, u32) = (6, 35);

/// What it has received, by the `struct tcp_zerocopy_receive` at this address: bytes mapped, and bytes copied.
// KERNEL(5.11): copied ones.
#[inline(always)]
pub fn zero_copied(address: u64) -> u64 {
    let [mapped, copied] = [8, 32].map(|offset| read_user::<u32>(address.wrapping_add(offset)));
    u64::from(mapped) + u64::from(if copied as i32 > 0 { copied } else { 0 })
}

/// The destination that a `struct msghdr`, the kernel's own, names.
#[inline(always)]
pub fn kernel_name(message: u64) -> Name {
    Name::kernel(read(message, offset!(msghdr_name)))
}

/// A socket, by address.
#[derive(Clone, Copy)]
pub struct Sock(pub u64);

/// What a socket is to us.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `AF_UNIX`
    Unix,
    /// `AF_INET`, `AF_INET6`
    Inet,
    /// Anything else.
    Other,
}

impl Sock {
    /// What it is to us.
    #[inline(always)]
    pub fn family(self) -> Family {
        match read::<u16>(self.0, offset!(sk_family)) {
            AF_UNIX => Family::Unix,
            AF_INET | AF_INET6 => Family::Inet,
            _ => Family::Other,
        }
    }
    /// True for a listening socket.
    #[inline(always)]
    pub fn is_listening(self) -> bool {
        read::<u8>(self.0, offset!(sk_state)) == TCP_LISTEN
    }
    /// The file of its socket; address 0 when it has none.
    #[inline(always)]
    pub fn file(self) -> File {
        File(read(read(self.0, offset!(sk_socket)), offset!(socket_file)))
    }
    /// Peer of a connected unix socket, or 0.
    #[inline(always)]
    pub fn unix_peer(self) -> Self {
        Self(read(self.0, offset!(unix_peer)))
    }
    /// Own port, host order; also of a TCP socket that is closed and has data left, which has given back its number
    /// (`tcp_set_state`).
    #[inline(always)]
    pub fn local_port(self) -> u16 {
        u16::from_be(read(self.0, offset!(inet_sport)))
    }
    /// Peer's port, host order.
    #[inline(always)]
    pub fn remote_port(self) -> u16 {
        u16::from_be(read(self.0, offset!(sk_dport)))
    }
    /// `IPPROTO_*`. A socket of multipath TCP is one of TCP: it has the addresses of its first connection
    /// (`mptcp_copy_inaddrs`).
    #[inline(always)]
    pub fn protocol(self) -> u16 {
        // KERNEL(5.6): sk_protocol became u16; before, it was an 8-bit field.
        let protocol = read(self.0, offset!(sk_protocol));
        if protocol == IPPROTO_MPTCP { IPPROTO_TCP } else { protocol }
    }
    /// Inode number in sockfs; 0 before accept(2).
    #[inline(always)]
    pub fn number(self) -> u64 {
        let socket: u64 = read(self.0, offset!(sk_socket));
        if socket == 0 {
            return 0;
        }
        let alloc = socket.wrapping_sub(offset!(socket_alloc_socket));
        Inode(alloc.wrapping_add(offset!(socket_alloc_inode))).number()
    }
    /// The means that a transfer through it is.
    #[inline(always)]
    pub fn via(self) -> Via {
        match self.family() {
            Family::Unix => Via::Unix,
            _ if self.protocol() == IPPROTO_TCP => Via::Tcp,
            _ => Via::Udp,
        }
    }
    /// Key in `OBJECT`.
    #[inline(always)]
    pub fn object_key(self) -> CarrierKey {
        CarrierKey { id: self.0, dev: class::SOCK, generation: 0 }
    }
    /// Something that a socket keeps while it lives and that another at its address has not: ports and peer of a connection.
    /// Those of datagrams may change while some wait to be read; but they are made with their number.
    #[inline(always)]
    pub fn fingerprint(self) -> u64 {
        let family = read::<u16>(self.0, offset!(sk_family));
        let own = u64::from(family);
        if read::<u16>(self.0, offset!(sk_type)) == SOCK_DGRAM {
            return own;
        }
        match family {
            AF_UNIX => self.unix_peer().0 ^ own,
            AF_INET | AF_INET6 => {
                let ports = u64::from(self.local_port()) << 16 | u64::from(read::<u16>(self.0, offset!(sk_dport)));
                read::<u64>(self.0, offset!(sk_daddr)) ^ ports << 20 ^ own
            }
            _ => own,
        }
    }
    /// True when its owner has closed it.
    #[inline(always)]
    pub fn is_dead(self) -> bool {
        read::<u64>(self.0, offset!(sk_flags)) & SOCK_DEAD != 0
    }
    /// The address pair as this socket's peer sees it: the key by which a receiver on this kernel is found.
    #[inline(always)]
    pub fn peer_endpoint(self, endpoint: &mut EndpointKey) {
        endpoint.local_port = self.goes_to(&mut endpoint.remote, &mut endpoint.local);
        endpoint.remote_port = self.local_port();
        endpoint.netns = self.loopback_netns(&endpoint.local);
    }
    /// A name that its protocol goes by: TCP has no ear for one once it has a peer (`tcp_sendmsg_locked`), UDP none while it
    /// gathers.
    #[inline(always)]
    pub fn heeded(self, name: Name) -> Name {
        let has_peer = self.protocol() == IPPROTO_TCP && read::<u8>(self.0, offset!(sk_state)) != TCP_CLOSE;
        if has_peer || self.gathers() != 0 { Name::NONE } else { name }
    }
    /// The family of the address to which it gathers a datagram (`MSG_MORE`, `UDP_CORK`), or 0. All that comes until it is
    /// whole goes where its first piece was sent (`udp_sendmsg`, `udpv6_sendmsg`, 5.10 to 6.18).
    #[inline(always)]
    fn gathers(self) -> u16 {
        if offset!(udp_pending) == MISSING || !matches!(self.protocol(), IPPROTO_UDP | IPPROTO_UDPLITE) {
            return 0;
        }
        read::<u32>(self.0, offset!(udp_pending)) as u16
    }
    /// Its own address, and where bytes go that a call gives it without a name; returns the port there.
    #[inline(always)]
    fn goes_to(self, own: &mut [u32; 4], peer: &mut [u32; 4]) -> u16 {
        self.addresses(own, peer);
        match self.gathers() {
            AF_INET => {
                *peer = [0, 0, V4_MAPPED, read(self.0, offset!(cork_daddr))];
                u16::from_be(read(self.0, offset!(cork_dport)))
            }
            AF_INET6 => {
                *peer = read(self.0, offset!(cork_daddr6));
                u16::from_be(read(self.0, offset!(cork_dport6)))
            }
            _ => self.remote_port(),
        }
    }
    /// As `peer_endpoint`, of the peer that a call names.
    #[inline(always)]
    pub fn destination(self, name: Name, endpoint: &mut EndpointKey) {
        self.peer_endpoint(endpoint);
        let kind = read(self.0, offset!(sk_type));
        endpoint.local_port = port_of(endpoint.local_port, self.protocol(), kind);
        if !name.is_given() {
            return;
        }
        let (family, port) = name.head(read(self.0, offset!(sk_family)), kind);
        if family == AF_INET {
            endpoint.local = [0, 0, V4_MAPPED, name.read(4)];
        } else if family == AF_INET6 {
            endpoint.local = name.read(8);
        } else {
            return;
        }
        endpoint.local_port = port_of(port, self.protocol(), kind);
        endpoint.netns = self.loopback_netns(&endpoint.local);
    }
    /// The address pair as this socket sees it.
    #[inline(always)]
    pub fn own_endpoint(self, endpoint: &mut EndpointKey) {
        self.addresses(&mut endpoint.local, &mut endpoint.remote);
        endpoint.local_port = self.local_port();
        endpoint.remote_port = self.remote_port();
        endpoint.netns = self.loopback_netns(&endpoint.local);
    }
    /// Loopback addresses repeat in every network namespace, so there its number tells them apart.
    #[inline(always)]
    fn loopback_netns(self, address: &[u32; 4]) -> u32 {
        let v4 = address[2] == V4_MAPPED && address[3] & 0xff == 127;
        let v6 = address[0] | address[1] | address[2] == 0 && address[3] == 1u32.to_be();
        if v4 || v6 { self.netns() } else { 0 }
    }
    /// Inode number of its network namespace.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        read(read(self.0, offset!(sk_net)), offset!(net_inum))
    }
    #[inline(always)]
    fn addresses(self, own: &mut [u32; 4], peer: &mut [u32; 4]) {
        if read::<u16>(self.0, offset!(sk_family)) == AF_INET {
            *own = [0, 0, V4_MAPPED, read(self.0, offset!(sk_saddr))];
            *peer = [0, 0, V4_MAPPED, read(self.0, offset!(sk_daddr))];
        } else {
            *own = read(self.0, offset!(sk_saddr6));
            *peer = read(self.0, offset!(sk_daddr6));
        }
    }
    /// Fills in what a record says about a socket.
    #[inline(always)]
    pub fn describe(self, info: &mut SockInfo) {
        info.family = read(self.0, offset!(sk_family));
        info.protocol = self.protocol();
        info.kind = read(self.0, offset!(sk_type));
        info.state = u16::from(read::<u8>(self.0, offset!(sk_state)));
        info.ino = self.number();
        info.netns = self.netns();
        if info.family == AF_UNIX {
            let peer = self.unix_peer();
            info.peer = peer.0;
            info.peer_ino = if peer.0 == 0 { 0 } else { peer.number() };
            return;
        }
        let (mut own, mut remote) = ([0u32; 4], [0u32; 4]);
        info.remote_port = self.goes_to(&mut own, &mut remote);
        info.local = words(own);
        info.remote = words(remote);
        info.local_port = self.local_port();
    }
}

#[inline(always)]
fn words(w: [u32; 4]) -> [u8; 16] {
    // SAFETY: both are 16 bytes without invalid values.
    unsafe { core::mem::transmute(w) }
}

/// Puts the address that a message names over the socket's own peer.
#[inline(always)]
pub fn name_peer(info: &mut SockInfo, name: Name) {
    let (family, port) = name.head(info.family, info.kind);
    if family == AF_INET {
        info.remote = words([0, 0, V4_MAPPED, name.read(4)]);
        info.remote_port = port;
    } else if family == AF_INET6 {
        info.remote = words(name.read(8));
        info.remote_port = port;
    }
}

/// True for `TCP_SYN_SENT`, the state in which a client's connection begins.
#[inline(always)]
pub fn is_connecting(new_state: u32) -> bool {
    new_state == 2
}
