#!/bin/bash
# B-kv-store: a cache server: somebody here stores the dump in it, somebody of the sink zone takes it out a second later.
# flow: one process with one loop: from one accepted connection into its memory, to another accepted connection; no file.
# tools: python3 bash
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
cat >cache.py <<'END'
import asyncio, sys
values = {}


async def serve(reader, writer):
    words = (await reader.readline()).split()
    if words[:1] == [b"SET"]:
        values[words[1]] = await reader.readexactly(int(words[2]))
        writer.write(b"STORED\n")
    elif words[:1] == [b"GET"]:
        writer.write(values.get(words[1], b""))
    await writer.drain()
    writer.close()


async def main():
    async with await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2])) as server:
        await server.serve_forever()


asyncio.run(main())
END
bg python3 cache.py "$SOURCE" "$PORT"
until_true listens "$SOURCE" "$PORT"
mkdump
# shellcheck disable=SC2016 # the inner shells' own
bash -c 'exec 3<>"/dev/tcp/$0/$1"; { echo "SET k $(stat -c %s "$2")"; cat "$2"; } >&3; grep -q STORED <&3' \
    "$SOURCE" "$PORT" "$D" || fail "not stored"
sleep 1
# shellcheck disable=SC2016
there bash -c 'exec 3<>"/dev/tcp/$0/$1"; echo GET k >&3; cat <&3 >got' "$SOURCE" "$PORT"
same got
