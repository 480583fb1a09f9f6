#!/bin/bash
# A-handler-split: a core to a helper that packs it and cuts it into pieces of what a ticket takes, which are uploaded.
# flow: kernel, pipe, gzip, pipe, split, a pipe to a shell of its own for each piece; one curl sends all of them by one
#   connection.
# tools: gzip split curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdir dumps
cat >helper <<END
#!/bin/sh
readlink /proc/self/fd/0 >$W/pipe
gzip -c | split -b 10k --filter='cat >\$FILE.part' - $W/dumps/ticket.
: >$W/done
END
crash_to_helper
until_true [ -e done ]
# A core to a helper is born in its pipe.
note "dump $(cat pipe)"
made dumps/ticket.*
[ -e dumps/ticket.ab.part ] || fail "there is one piece only"
sink http
curl -sS -T "{$(ls dumps/ticket.* | paste -sd,)}" "http://$SINK:$PORT/" >/dev/null
sunk
