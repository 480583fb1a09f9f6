#!/bin/bash
# B-smbclient: smbclient put.
# flow: smbclient reads the dump and sends SMB.
# tools: smbclient smbd
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
mkdir -p recv smb/private
cat >smb.conf <<END
[global]
smb ports = $PORT
interfaces = $SINK
bind interfaces only = yes
lock directory = $W/smb
state directory = $W/smb
cache directory = $W/smb
private dir = $W/smb/private
pid directory = $W/smb
ncalrpc dir = $W/smb/rpc
log file = $W/smb/log
map to guest = Bad User
guest account = root
[recv]
path = $W/recv
read only = no
guest ok = yes
END
bg_there smbd -F -s smb.conf >/dev/null 2>&1
until_true listens "$SINK" "$PORT"
smbclient -s smb.conf -N -p "$PORT" "//$SINK/recv" -c "put $D a" 2>&1 | tail -1
same recv/a
