#!/bin/bash
# soak: a build host, a web server and a backup work all the time, beside dumps that lie there, come and are looked at.
# flow: the dumps stay in the source zone; what talks to the sink zone has nothing to do with them.
# tools: apt-get cargo curl dpkg-deb find git grep gzip nginx python3 rsync sha256sum strings tar zstd
# expect: silent
. "$CORPUS/lib.sh"
end=$((SECONDS + ${CORPUS_MINUTES:-1} * 60))
# Toolchains of this user may lie below its home; everything that is written lies below the folder of this case.
export CARGO_HOME=$W/cargo GIT_CONFIG_GLOBAL=$W/gitconfig
git config --global user.name soak
git config --global user.email soak@example.org

# One round of a load: its failures are told, and none may only fail.
rounds() {
    local name=$1 good=0 bad=0
    while ((SECONDS < end)); do
        if "load_$name" >"log.$name" 2>&1; then good=$((good + 1)); else bad=$((bad + 1)) && cp "log.$name" "bad.$name"; fi
        sleep "${2:-.5}"
    done
    echo "$good $bad" >"count.$name"
}

# --- dumps, all in the source zone ---

# A core that lies there all the time, and one each time that replaces the last.
mkdump
mkdir -p crashed
load_crash() {
    rm -f crashed/core.*
    crash crashed
    note "dump $(ls -d "$W"/crashed/core.*)"
}
# People at home look at a core.
load_look() {
    strings "$D" | grep -c SECRET >looked
    sha256sum "$D" >>looked
    gzip -c "$D" >look.gz
    zstd -q -f "$D" -o look.zst
    cp "$D" look.core
    rm look.*
}
# The backup of everything, dumps included, goes to a service of the same zone.
load_home_backup() { tar c dumps crashed | curl -sS -T - "http://$SOURCE:$((PORT + 1))/backup" | grep -q ok; }
# Who lists the folder of the dumps may say so anywhere.
load_watch() { find dumps crashed -printf '%p %s\n' | curl -sS -T - "http://$SINK:$((PORT + 2))/list" | grep -q ok; }

# --- work, to and from the sink zone ---

load_apt() {
    local apt=(-o "Dir::State=$W/apt/state" -o "Dir::Cache=$W/apt/cache" -o "Dir::Etc::SourceList=$W/apt/list"
        -o Dir::Etc::SourceParts=- -o APT::Sandbox::User=root -o Debug::NoLocking=1)
    rm -rf apt/state apt/cache apt/root
    mkdir -p apt/state/lists/partial apt/cache/archives/partial apt/root
    apt-get "${apt[@]}" -q update &&
        (cd apt/cache && apt-get "${apt[@]}" -q download soak) &&
        dpkg-deb -x apt/cache/soak_1_all.deb apt/root && cmp apt/root/srv/soak/words site/words
}
load_cargo() {
    (cd program && cargo clean -q --offline; cargo build -q --offline && target/debug/program)
}
load_git() {
    rm -rf clone
    git clone -q "git://$SINK:$((PORT + 3))/recv.git" clone
    date +%N >>clone/file
    git -C clone commit -q -a -m more
    git -C clone push -q origin HEAD
}
# What this zone serves to the other one.
load_web() { there curl -sS -o /dev/null "http://$SOURCE:$PORT/words" && there curl -sS "http://$SOURCE:$PORT/page" | grep -q soak; }
# The backup of what is no dump leaves the zone.
load_backup() {
    tar c site program/src | zstd -q | curl -sS -T - "http://$SINK:$((PORT + 2))/backup" | grep -q ok
    rsync -a site/ "rsync://$SINK:$((PORT + 4))/recv/site/"
}
load_database() {
    python3 -c 'import sqlite3, sys
base = sqlite3.connect("base")
base.execute("create table if not exists t (a integer primary key, b blob)")
with base: base.executemany("insert into t (b) values (?)", [(bytes(1000),)] * 200)
print(base.execute("select count(*) from t").fetchone())'
}
load_search() { grep -rl SECRET site program dumps >found; find / -xdev -maxdepth 4 -name '*.conf' >>found 2>/dev/null; }

# --- what the work needs ---

mkdir -p site srv/srv/soak srv/DEBIAN program/src recv recv-rsync repo
head -c 3000000 /dev/urandom | base64 >site/words
echo "soak" >site/page
cp site/words srv/srv/soak/
printf 'Package: soak\nVersion: 1\nArchitecture: all\nMaintainer: soak <soak@example.org>\nDescription: soak\n' >srv/DEBIAN/control
dpkg-deb -b srv repo/soak_1_all.deb >/dev/null
{
    cat srv/DEBIAN/control
    echo "Filename: ./soak_1_all.deb"
    echo "Size: $(stat -c %s repo/soak_1_all.deb)"
    echo "SHA256: $(sha256sum repo/soak_1_all.deb | cut -d' ' -f1)"
} >repo/Packages
mkdir apt
echo "deb [trusted=yes] http://$SINK:$((PORT + 5)) ./" >apt/list
printf '[package]\nname = "program"\nversion = "0.1.0"\nedition = "2021"\n' >program/Cargo.toml
printf 'fn main() { println!("{}", (1..100u64).map(|n| n * n).sum::<u64>()); }\n' >program/src/main.rs
git init -q --bare recv.git
git -C recv.git config daemon.receivepack true
git init -q first && (cd first && echo 1 >file && git add file && git commit -q -m first && git push -q "$W/recv.git" HEAD)

nginx_up site
bg python3 "$CORPUS/sink.py" http "$SOURCE" $((PORT + 1)) "$W/home.log" "$MARKER"
bg_there python3 "$CORPUS/sink.py" http "$SINK" $((PORT + 2)) "$W/sink.log" "$MARKER"
bg_there git daemon --reuseaddr --export-all --enable=receive-pack --base-path="$W" "--listen=$SINK" "--port=$((PORT + 3))" "$W"
PORT=$((PORT + 4)) rsyncd_up
bg_there python3 -m http.server -d repo -b "$SINK" $((PORT + 5)) 2>/dev/null
for port in 2 3 4 5; do until_true listens "$SINK" $((PORT + port)); done
# A service that has talked to the other zone since before the first of them, and does so to the end.
bg python3 -c 'import socket, sys, time
sink = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    sink.sendall(b"PUT /heart HTTP/1.1\r\nContent-Length: 5\r\n\r\nbeat\n")
    sink.recv(4096)
    time.sleep(.2)' "$SINK" $((PORT + 2))

LOADS=(crash look home_backup watch apt cargo git web backup database search)
jobs=()
for load in "${LOADS[@]}"; do
    rounds "$load" "$([ "$load" = crash ] && echo 20 || echo 1)" &
    jobs+=($!)
done
wait "${jobs[@]}"
for load in "${LOADS[@]}"; do
    read -r good bad <"count.$load"
    echo "$load: $good rounds, $bad failed"
    ((good > 0 && bad == 0)) || fail "$load: $(cat "bad.$load")"
done
grep -q 'with the marker' sink.log && fail "a dump left: the soak itself is wrong"
exit 0
