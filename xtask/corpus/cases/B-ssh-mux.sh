#!/bin/bash
# B-ssh-mux: ssh through the connection of a master that runs already.
# flow: the client passes its descriptor 0 to the master (SCM_RIGHTS), which reads the dump and writes TCP.
# tools: ssh sshd
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
sshd_up
bg ssh -F ssh_config -M -N -S "$W/mux" target
until_true [ -S mux ]
ssh -F ssh_config -S "$W/mux" target "cat >$W/recv/a" <"$D"
same recv/a
