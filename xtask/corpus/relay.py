"""relay.py LISTEN PORT|unix TO PORT [MARK]: a sidecar that passes bytes on, in both directions.

LISTEN is an address, or a path with `unix`. What it sends carries MARK, so that a redirection can leave it alone.
"""

import os
import socket
import sys
import threading

LISTEN, PORT, TO, TO_PORT = sys.argv[1:5]
MARK = int(sys.argv[5]) if len(sys.argv) > 5 else 0


def listening():
    if PORT != "unix":
        return socket.create_server((LISTEN, int(PORT)))
    server = socket.socket(socket.AF_UNIX)
    # Under its name only once it listens.
    server.bind(LISTEN + ".new")
    server.listen()
    os.rename(LISTEN + ".new", LISTEN)
    return server


def copy(source, sink):
    try:
        while part := source.recv(16384):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


with listening() as server:
    while True:
        client = server.accept()[0]
        remote = socket.socket()
        if MARK:
            remote.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        remote.connect((TO, int(TO_PORT)))
        for ends in (client, remote), (remote, client):
            threading.Thread(target=copy, args=ends, daemon=True).start()
