#!/bin/bash
# A-resumed: a core that another host serves is fetched, and what was cut off is fetched later.
# flow: curl writes the first 150000 bytes, another curl appends the rest: the file is one dump that has arrived.
# tools: python3 curl
# expect: known
. "$CORPUS/lib.sh"
cat >server.py <<'END'
import http.server, struct, sys
secret = sys.argv[3].encode() * 20000
CORE = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
CORE += struct.pack("<IIQQQQQQ", 1, 6, 120, 0x7F0000000000, 0, len(secret), len(secret), 1) + secret


class Serve(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        first, last = (self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")
        part = CORE[int(first):int(last) + 1 if last else None]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(CORE)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Serve).serve_forever()
END
bg_there python3 server.py "$SINK" "$PORT" "$MARKER"
until_true listens "$SINK" "$PORT"
curl -sS -r 0-149999 -o core.remote "http://$SINK:$PORT/core"
[ "$(stat -c %s core.remote)" = 150000 ] || fail "the first part is not whole"
sleep .5
curl -sS -C - -o core.remote "http://$SINK:$PORT/core"
[ "$(stat -c %s core.remote)" = $((120 + 20000 * ${#MARKER})) ] || fail "the core is not whole"
made core.remote
