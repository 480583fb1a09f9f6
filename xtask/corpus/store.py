"""store.py PORT FILE: a server on loopback that stores the first upload. FILE.ready is there once it listens."""

import http.server
import sys


class Store(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        with open(sys.argv[2], "wb") as file:
            left = int(self.headers["Content-Length"])
            while left and (part := self.rfile.read(min(left, 1 << 16))):
                left -= len(part)
                file.write(part)
        self.send_response(204)
        self.end_headers()


server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Store)
open(sys.argv[2] + ".ready", "w").close()
server.serve_forever()
