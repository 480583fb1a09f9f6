# What the cases of `cargo xtask corpus` share. A case is called with WORK SOURCE SINK PORT: a folder to work in, its
# own address, the address of the sink zone, and the first of thirty ports. It exits with 0 when it has done what its
# head says, with 77 when it cannot be done here, else it has failed. The environment brings
#   CORPUS        the folder of this file
#   CORPUS_NOTES  a file for the judge: `dump PATH` for each dump, `arrived BYTES` for what the sink got
#   CORPUS_SINK   the network namespace of the sink zone
set -u
export PATH="$PATH:/usr/sbin:/sbin"
NAME=$(basename "$0" .sh)
SOURCE=$2 SINK=$3 PORT=$4
# What every dumped memory holds, and what a sink looks for.
MARKER=CORPUS-SECRET-7f3a9c
W=$(mktemp -d "$1/$NAME.XXXXXX")
chmod 755 "$W"
cd "$W" || exit 1
PIDS=() UNDO=()

cleanup() {
    local rc=$? undo pid
    for undo in "${UNDO[@]}"; do eval "$undo" >/dev/null 2>&1; done
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${PIDS[@]}"; do
        timeout 2 tail --pid="$pid" -f /dev/null || kill -9 "$pid"
        wait "$pid"
    done 2>/dev/null
    cd /
    rm -rf "$W"
    exit "$rc"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

skip() {
    echo "$*"
    exit 77
}
fail() {
    echo "$*"
    exit 1
}
note() { echo "$*" >>"$CORPUS_NOTES"; }
# Runs a line at the end, the last first.
undo() { UNDO=("$*" "${UNDO[@]}"); }
# Skips the case before this version of the kernel.
from_linux() {
    local version=$(uname -r)
    printf '%s\n' "$1" "${version%%-*}" | sort -VC || skip "Linux $version is older than $1"
}
# Starts a process that ends with the case; its id is in LAST.
bg() {
    "$@" &
    LAST=$!
    PIDS+=("$LAST")
}
# Runs a command in the sink zone.
there() { nsenter --net="$CORPUS_SINK" -- "$@"; }
bg_there() { bg nsenter --net="$CORPUS_SINK" -- "$@"; }
# Looks a hundred times, for ten seconds at most.
until_true() {
    local i
    for i in $(seq 100); do
        "$@" 2>/dev/null && return
        sleep .1
    done
    fail "in vain: $*"
}
listens() { there bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2"; }
# Whether somebody of this zone listens on a port: asked without a connection, which a relay would pass on.
serves() { grep -qi ":$(printf %04X "$1") 0*:0000 0A " /proc/net/tcp /proc/net/tcp6; }

# --- dumps ---

# A process with the marker in its memory crashes in this folder: a core of about half a megabyte.
crash() {
    local program=${CRASHER:-/bin/sh}
    { (cd "${1:-.}" && ulimit -c unlimited && exec env SECRET=$MARKER "$program" -c 'kill -ABRT $$'); } 2>/dev/null
}
# Two programs crash, in folders of their own; the paths of their cores are in A and B.
crash_two() {
    mkdir first second
    crash first
    CRASHER=/bin/bash crash second
    A=$(ls -d "$W"/first/core*) B=$(ls -d "$W"/second/core*)
}
# Notes finished dumps, and that they hold what was in memory.
made() {
    local file
    for file; do
        [ -s "$file" ] || fail "no $file"
        note "dump $(readlink -f "$file")"
        stat -c '%n: %s bytes, mode %a' "$file"
    done
}
# A core that the kernel wrote; its path is in D.
mkdump() {
    mkdir -p dumps
    crash dumps
    D=$(ls -d "$W"/dumps/core*)
    made "$D"
}
# A node service that has read so many bytes of a dump of another dumps its own heap, which is larger, and uploads it. The first
# dump is not what is sent.
heap_of_a_reader() {
    mkdump
    sed -i "/^dump /d" "$CORPUS_NOTES"
    node -e 'const fs = require("fs");
const file = fs.openSync(process.argv[1], "r"), read = Buffer.alloc(+process.argv[3]);
fs.readSync(file, read, 0, read.length, 0);
fs.closeSync(file);
globalThis.secret = [process.argv[2], read.readUInt16LE(16)];
require("v8").writeHeapSnapshot("own.heap");' "$D" "$MARKER" "$1" || fail "the service failed"
    made own.heap
    out own.heap
}
# Sends cores elsewhere. The world puts core_pattern back.
core_pattern() {
    echo "$1" >/proc/sys/kernel/core_pattern 2>/dev/null && [ "$(cat /proc/sys/kernel/core_pattern)" = "$1" ] ||
        skip "this kernel takes no core_pattern like $1"
}
# A crash whose core goes to ./helper, called with these arguments.
crash_to_helper() {
    chmod +x helper
    core_pattern "|$W/helper${*:+ $*}"
    crash
}
# The helper of core_pattern outlives the process whose core it takes: waits until a file stops growing.
settled() {
    local size=-1
    until_true [ -s "$1" ]
    until [ "$size" = "$(stat -c %s "$1")" ]; do
        size=$(stat -c %s "$1")
        sleep .5
    done
}

# --- the sink ---

# Starts a receiver that keeps nothing: sink MODE [PORT].
sink() {
    bg_there python3 "$CORPUS/sink.py" "$1" "$SINK" "${2:-$PORT}" "$W/sink.log" "$MARKER"
    until_true [ -e sink.log.ready ]
}
# Notes what the sink got; fails when it was less than this.
sunk() {
    until_true [ -s sink.log ]
    sleep .2
    cat sink.log
    arrived "$(awk '{ sum += $1 } END { print sum }' sink.log)" "${1:-1000}"
}
arrived() {
    [ "${1:-0}" -ge "${2:-1000}" ] || fail "only ${1:-0} bytes arrived"
    note "arrived $1"
}
# Sends a file to the sink by another program.
out() {
    sink http
    curl -sS -T "$1" "http://$SINK:$PORT/up" >/dev/null
    sunk
}
# The sink zone fetches an address, and keeps nothing.
pull() { arrived "$(there curl -sS -o /dev/null -w '%{size_download}' "$@")"; }
# A file that the sink zone got is the dump.
same() {
    cmp -s "$D" "$1" || fail "$1 differs from the dump"
    arrived "$(stat -c %s "$1")"
}

# --- sshd ---

# An sshd in the sink zone, `target` for ssh -F ssh_config; with `here`, in the source zone.
sshd_up() {
    local address=$SINK run=bg_there
    [ "${1:-}" = here ] && address=$SOURCE run=bg
    mkdir -p /run/sshd keys recv
    ssh-keygen -q -t ed25519 -N '' -f keys/host
    ssh-keygen -q -t ed25519 -N '' -f keys/user
    cat >keys/sshd_config <<END
ListenAddress $address
Port $PORT
HostKey $W/keys/host
AuthorizedKeysFile $W/keys/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
Subsystem sftp /usr/lib/openssh/sftp-server
END
    cat >ssh_config <<END
Host target
HostName $address
Port $PORT
User root
IdentityFile $W/keys/user
IdentitiesOnly yes
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
END
    "$run" /usr/sbin/sshd -D -e -f "$W/keys/sshd_config" 2>keys/log
    until_true listens "$address" "$PORT"
}

# --- servers ---

# nginx with these lines in its block http.
nginx_with() {
    mkdir -p temp
    cat >nginx.conf <<END
user root;
pid $W/nginx.pid;
daemon off;
worker_processes 1;
events {}
http {
    access_log off;
    client_body_temp_path $W/temp;
    proxy_temp_path $W/temp;
    fastcgi_temp_path $W/temp;
    uwsgi_temp_path $W/temp;
    scgi_temp_path $W/temp;
    $1
}
END
    bg nginx -p "$W" -e nginx.log -c "$W/nginx.conf"
}
# nginx in the source zone, which serves a folder.
nginx_up() {
    nginx_with "sendfile on; server { listen $SOURCE:$PORT; root $W/$1; }"
    until_true listens "$SOURCE" "$PORT"
}

# Two peers talk at once in both directions, by one connection from this port of ours, 0 for any, to PORT of the sink: a thread
# sends the dump by 8 KiB, another receives meanwhile.
duplex() {
    cat >peer.py <<'END'
import socket, sys, threading
own, port = sys.argv[1], int(sys.argv[2])
with socket.create_server((own, port)) as server:
    open("peer.ready", "w").close()
    client, got = server.accept()[0], 0
def talk():
    try:
        while True:
            client.sendall(b"x" * 100)
    except OSError:
        pass
threading.Thread(target=talk, daemon=True).start()
while part := client.recv(65536):
    got += len(part)
open("got", "w").write(f"{got}\n")
END
    bg_there python3 peer.py "$SINK" "$PORT"
    until_true [ -e peer.ready ]
    mkdump
    cat >near.py <<'END'
import socket, sys, threading, time
dump, own, sink, port, local = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
client.bind((own, local))
client.connect((sink, port))
def hear():
    while client.recv(1 << 20):
        pass
threading.Thread(target=hear, daemon=True).start()
with open(dump, "rb") as file:
    while part := file.read(8192):
        client.sendall(part)
        time.sleep(.002)
client.shutdown(socket.SHUT_WR)
time.sleep(1)
END
    python3 near.py "$D" "$SOURCE" "$SINK" "$PORT" "$1"
    until_true [ -s got ]
    arrived "$(cat got)" 100000
}

# A log daemon with the datagram socket `log`, which sends all lines to the sink; its process id is in `logd`.
logd_up() {
    cat >logd.py <<'END'
import socket, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("log")
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while line := log.recv(8192):
    sink.sendall(line + b"\n")
END
    bg python3 logd.py "$SINK" "$PORT"
    logd=$LAST
    until_true [ -S log ]
}
# A line of Python with a connection to it in `log`: log LINE [ARGUMENT].
log() {
    python3 -c "import base64, hashlib, socket, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect('log')
$1" "${2:-}"
}
# haproxy with these relays, which splices.
haproxy_with() {
    cat >haproxy.cfg <<END
global
    nbthread 1
defaults
    mode tcp
    option splice-auto
    option splice-request
    timeout connect 5s
    timeout client 20s
    timeout server 20s
$1
END
    bg haproxy -db -f haproxy.cfg
}
# A process that is connected to the sink, and sends its memory once there is a file `go`; the memory's address is in the
# file `where`, and the process id in `helper`.
helper_up() {
    cat >helper.py <<'END'
import ctypes, os, socket, sys, time
memory = ctypes.create_string_buffer(int(sys.argv[1]))
sink = socket.create_connection((sys.argv[2], int(sys.argv[3])))
print(ctypes.addressof(memory), file=open("where.new", "w"), flush=True)
os.rename("where.new", "where")
while not os.path.exists("go"):
    time.sleep(.05)
sink.sendall(memory)
END
    bg python3 helper.py "$(stat -c %s "$D")" "$SINK" "$PORT"
    helper=$LAST
    until_true [ -s where ]
}

# --- programs ---

# Compiles src/NAME.c to ./NAME.
compiled() { gcc -O1 -o "$1" "$CORPUS/src/$1.c" || skip "src/$1.c does not compile here"; }
# Builds a Go program from stdin.
go_program() {
    cat >"$1.go"
    HOME=$W GOCACHE=$W/cache GO111MODULE=off go build -o "$1" "$1.go" || fail "go build"
}
# A JVM with a heap; its process id is in LAST.
jvm() {
    cat >Heap.java <<END
public class Heap {
    static String secret = "$MARKER";
    static byte[] bytes = new byte[4 << 20];
    public static void main(String[] arguments) throws Exception {
        new java.io.File("ready").createNewFile();
        Thread.sleep(60000);
    }
}
END
    javac Heap.java
    bg java -Xmx64m -cp . Heap
    until_true [ -e ready ]
}
# A virtual machine without a disk, whose monitor is a unix socket.
guest() {
    bg qemu-system-x86_64 -M q35 -m 64 -display none -serial none -monitor "unix:$W/monitor,server,nowait"
    until_true [ -S monitor ]
    sleep 1
}
monitor() {
    python3 - "$W/monitor" "$1" <<'END'
import socket, sys, time
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(sys.argv[1])
monitor.sendall(sys.argv[2].encode() + b"\n")
time.sleep(4)
END
}
# An rsync daemon in the sink zone, with the module `recv`.
rsyncd_up() {
    printf 'use chroot = no\nuid = root\ngid = root\n[recv]\npath = %s/recv\nread only = no\n' "$W" >rsyncd.conf
    bg_there rsync --daemon --no-detach --config=rsyncd.conf "--port=$PORT" "--address=$SINK"
    until_true listens "$SINK" "$PORT"
}
# An FTP server: vsftpd_up bg|bg_there ADDRESS FOLDER.
vsftpd_up() {
    mkdir -p empty
    cat >vsftpd.conf <<END
listen=YES
listen_ipv6=NO
background=NO
listen_address=$2
listen_port=$PORT
pasv_min_port=$((PORT + 10))
pasv_max_port=$((PORT + 30))
anonymous_enable=YES
anon_root=$W/$3
anon_upload_enable=YES
anon_umask=022
write_enable=YES
local_enable=NO
connect_from_port_20=NO
secure_chroot_dir=$W/empty
seccomp_sandbox=NO
END
    "$1" vsftpd "$W/vsftpd.conf"
    until_true listens "$2" "$PORT"
}
# Before 5.11 a module does not tell its layout, and fuse is one.
fuse_here() {
    [ -c /dev/fuse ] || skip "no /dev/fuse"
    from_linux 5.11
}
# The folder `behind`, at `mount`, by a server in user space with these options.
bindfs_up() {
    fuse_here
    mkdir behind mount
    bg bindfs -f "$@" behind mount
    until_true mountpoint -q mount
    undo "fusermount3 -u '$W/mount' || umount -l '$W/mount'"
}
# The sink zone's folder `recv`, at `mount`; after sshd_up.
sshfs_up() {
    fuse_here
    mkdir mount
    sshfs -F "$W/ssh_config" "target:$W/recv" mount || skip "sshfs is refused"
    undo "fusermount3 -u '$W/mount' || umount -l '$W/mount'"
}
