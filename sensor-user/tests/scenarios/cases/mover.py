# Moves parts of a dump in every way at once, in calls small and large, from the moment of its birth, and says how much.
# Arguments: the dump, a file to write, host and port of a sink, where to say it, seconds.
import json, os, random, socket, sys, threading, time

dump, copy, host, port, said, seconds = *sys.argv[1:6], float(sys.argv[6])
fast, slow, pair = os.pipe(), os.pipe(), socket.socketpair()
sums, children = {}, {}


def child(name, get, pause):
    """Reads to the end. It waits in its first read before there is a dump."""
    pid = os.fork()
    if pid == 0:
        for end in (fast[1], slow[1], pair[0].fileno()):
            os.close(end)
        total = 0
        while True:
            n = len(get(random.choice((100, 4096, 65536, 1 << 20))))
            total += n
            if n == 0:
                break
            time.sleep(pause)
        open(f'{said}.{name}', 'w').write(str(total))
        os._exit(0)
    children[name] = pid


child('waits_for_a_pipe', lambda n: os.read(slow[0], n), 0)
child('pipe_waits_for_it', lambda n: os.read(fast[0], n), 0.003)
child('socket', pair[1].recv, 0)
for end in (fast[0], slow[0], pair[1].fileno()):
    os.close(end)
open(f'{said}.waits', 'w')
while not os.path.exists(dump) or os.path.getsize(dump) < 2 << 20:
    time.sleep(0.001)
file = os.open(dump, os.O_RDONLY)
data = os.pread(file, 1 << 20, 0)
sums['read'] = len(data)
out = os.open(copy, os.O_WRONLY | os.O_CREAT, 0o600)
tcp = socket.create_connection((host, int(port)))
end = time.monotonic() + seconds


def load(name, put, sizes, pause=0):
    def run():
        total = 0
        while time.monotonic() < end:
            total += put(random.choice(sizes))
            if pause:
                time.sleep(pause)
        sums[name] = sums.get(name, 0) + total
    thread = threading.Thread(target=run)
    thread.start()
    return thread


threads = [
    load('read', lambda n: len(os.pread(file, n, random.randrange(1 << 20))), (1, 100, 4096, 65536, 1 << 20), 0.0005),
    load('fast', lambda n: os.write(fast[1], data[:n]), (1, 4096, 65536, 300000)),
    load('slow', lambda n: os.write(slow[1], data[:n]), (1, 100, 3000), 0.002),
    load('socket', lambda n: pair[0].send(data[:n]), (1, 1000, 70000), 0.001),
    load('tcp', lambda n: tcp.send(data[:n]), (1, 1000, 70000, 500000), 0.001),
    load('file', lambda n: os.write(out, data[:n]), (1, 1000, 70000), 0.002),
]
for thread in threads:
    thread.join()
for end in (fast[1], slow[1], pair[0].fileno()):
    os.close(end)
for pid in children.values():
    assert os.waitpid(pid, 0)[1] == 0
got = {name: int(open(f'{said}.{name}').read()) for name in children}
assert (got['pipe_waits_for_it'], got['waits_for_a_pipe'], got['socket']) == (sums['fast'], sums['slow'], sums['socket'])
json.dump({'sums': sums, 'children': children}, open(said + '.part', 'w'))
os.rename(said + '.part', said)
