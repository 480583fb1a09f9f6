#!/bin/bash
# C-ssh-gdb: an engineer in the sink zone has gdb show a backtrace, by ssh.
# flow: gdb reads the dump; a pipe to sshd, which sends a little text made from it.
# tools: ssh sshd gdb
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sshd_up here
there ssh -F ssh_config target "gdb -q -nx -batch -c $D /bin/sh -ex bt 2>&1" | wc -c
