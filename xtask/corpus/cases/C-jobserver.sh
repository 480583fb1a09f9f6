#!/bin/bash
# C-jobserver: a parallel make, where one recipe hashes a core and takes and returns tokens of the job server, as cargo and gcc -flto do; another publishes.
# flow: one pipe with tokens of a byte is shared by all; the recipe that publishes has read tokens, and sends 400 KB.
# tools: make python3
# expect: silent
. "$CORPUS/lib.sh"
mkdump
export D SINK PORT
sink tcp
seq 60000 >artefact
cat >job.py <<'END'
import hashlib, os, re, socket, sys, time
ends = re.search(r"--jobserver-(?:auth|fds)=(\d+),(\d+)", os.environ["MAKEFLAGS"])
take, give = map(int, ends.groups())
def turns(count):
    for _ in range(count):
        token = os.read(take, 1)
        time.sleep(.005)
        os.write(give, token)
if sys.argv[1] == "sum":
    print(hashlib.sha256(open(os.environ["D"], "rb").read()).hexdigest(), file=open("sum", "w"))
    turns(100)
else:
    time.sleep(.3)
    turns(40)
    sink = socket.create_connection((os.environ["SINK"], int(os.environ["PORT"])))
    sink.sendall(open("artefact", "rb").read())
END
printf 'all: sum publish\nsum publish:\n\t+python3 job.py $@\n.PHONY: all sum publish\n' >Makefile
make -s -j4 all || fail "make"
sunk 300000
