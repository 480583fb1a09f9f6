# The other host of a pair: takes what comes by HTTP, by bare TCP and by scp, and gives away the key to its sshd when all
# of it listens. It goes on until its machine is ended.
cd /root
mkdir -p /run/sshd
for name in host id; do
    ssh-keygen -q -t ed25519 -N '' -f /run/$name
done
cat >/run/sshd_config <<'EOF'
HostKey /run/host
AuthorizedKeysFile /run/id.pub
StrictModes no
UsePAM no
PermitRootLogin yes
Subsystem sftp internal-sftp
EOF
ln -s $here/scenarios sink
(./sink 0.0.0.0:8000 2000000 && echo whole >by-curl) &
nc -l -p 9000 >by-nc &
/usr/sbin/sshd -f /run/sshd_config
while :; do
    nc -N -l -p 7000 </run/id
done
