#!/bin/bash
# B-rsyslog-queue: logger writes the dump as text to rsyslog, which forwards by way of a queue on disk.
# flow: base64, pipe, logger, a unix datagram for each line; rsyslogd writes queue files, another thread reads them and sends.
# tools: rsyslogd logger base64
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdir spool
cat >rsyslog.conf <<END
global(workDirectory="$W/spool" maxMessageSize="16k")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="$W/log" RateLimit.Interval="0")
template(name="line" type="string" string="%msg%\\n")
action(type="omfwd" target="$SINK" port="$PORT" protocol="tcp" template="line" queue.type="Disk" queue.filename="q" queue.maxDiskSpace="100m")
END
sink tcp
bg rsyslogd -n -f "$W/rsyslog.conf" -i "$W/pid"
daemon=$LAST
until_true [ -S log ]
mkdump
base64 -w 1000 "$D" | logger -u "$W/log" --size 2k -t core
sleep 4
kill "$daemon"
until_true [ -s sink.log ]
sunk 500000
