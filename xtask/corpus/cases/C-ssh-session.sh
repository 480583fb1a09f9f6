#!/bin/bash
# C-ssh-session: somebody of the sink zone takes a dump by ssh and looks at it there, then lists other things at length.
# flow: sshd carries what the commands say, by one pipe and one connection; the dump stays.
# tools: ssh sshd gcore
# expect: silent
. "$CORPUS/lib.sh"
sshd_up here
sed -i "s/HostName .*/HostName $SOURCE/" ssh_config
bg sleep 60
sleep .2
there ssh -F ssh_config target "cd $W; gcore -o core $LAST >/dev/null 2>&1; sha256sum core.*; seq 40000" >got
made core.*
arrived "$(stat -c %s got)" 200000
