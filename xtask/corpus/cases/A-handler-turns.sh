#!/bin/bash
# A-handler-turns: a core to a script that takes it apart: header, notes and memory, each by a program of its own.
# flow: kernel, pipe; three programs read it one after the other, and only the first gets what tells a core; cat puts the
#   three files together again.
# tools: head dd
# expect: known
. "$CORPUS/lib.sh"
mkdir dumps
cat >helper <<END
#!/bin/sh
cd $W/dumps
head -c 4096 >1.head
dd bs=4k count=8 iflag=fullblock of=2.notes 2>/dev/null
cat >3.memory
: >$W/done
END
crash_to_helper
until_true [ -e done ]
made dumps/1.head dumps/2.notes dumps/3.memory
cat dumps/?.* >whole
readelf -h whole | grep 'Type: .*CORE' || fail "that is no core"
made whole
