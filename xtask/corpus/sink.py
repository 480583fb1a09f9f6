"""sink.py MODE ADDRESS PORT LOG MARKER: receives, counts, looks for the marker, keeps nothing.

MODE is tcp, udp, dns, http or https. LOG gets a line for each message or connection; LOG.ready is there once it listens.
"""

import http.server
import os
import socket
import ssl
import sys
import threading

MODE, ADDRESS, PORT, LOG, MARKER = sys.argv[1:6]


class Meal:
    """What one connection brought."""

    def __init__(self):
        self.bytes, self.marked, self.tail = 0, False, b""

    def add(self, part):
        self.bytes += len(part)
        self.marked = self.marked or MARKER.encode() in self.tail + part
        self.tail = part[-64:]

    def end(self):
        if self.bytes:
            with open(LOG, "a") as log:
                log.write(f"{self.bytes} bytes by {MODE}, {'with' if self.marked else 'without'} the marker\n")


def ready():
    open(LOG + ".ready", "w").close()


def tcp():
    def eat(connection):
        meal = Meal()
        try:
            while part := connection.recv(1 << 16):
                meal.add(part)
        except OSError:
            pass
        connection.close()
        meal.end()

    with socket.create_server((ADDRESS, int(PORT))) as server:
        ready()
        while True:
            threading.Thread(target=eat, args=(server.accept()[0],), daemon=True).start()


def datagrams():
    """A message is over when nothing comes for a second. A name server also answers."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((ADDRESS, int(PORT)))
    ready()
    meal = Meal()
    while True:
        server.settimeout(1 if meal.bytes else None)
        try:
            part, peer = server.recvfrom(65535)
        except TimeoutError:
            meal.end()
            meal = Meal()
            continue
        meal.add(part)
        if MODE == "dns":
            server.sendto(part[:2] + b"\x81\x83" + part[4:], peer)


class Upload(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def parts(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left and (part := self.rfile.read(min(left, 1 << 16))):
            left -= len(part)
            yield part

    def do_PUT(self):
        meal = Meal()
        for part in self.parts():
            meal.add(part)
        meal.end()
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    do_GET = do_POST = do_PUT

    def log_message(self, *_):
        pass


def web():
    server = http.server.ThreadingHTTPServer((ADDRESS, int(PORT)), Upload)
    if MODE == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = os.path.dirname(LOG)
        context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    ready()
    server.serve_forever()


{"tcp": tcp, "udp": datagrams, "dns": datagrams, "http": web, "https": web}[MODE]()
