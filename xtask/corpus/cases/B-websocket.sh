#!/bin/bash
# B-websocket: node reads the dump in a worker thread and hands it to the main thread, which sends masked websocket frames.
# flow: the worker reads; the memory changes hands without a copy; every byte is XORed with a mask and leaves in frames of 16 KiB.
# tools: node
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
cat >server.js <<'END'
const [address, port] = process.argv.slice(2)
const server = require("http").createServer()
server.on("upgrade", (request, socket) => {
    const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    const accept = require("crypto").createHash("sha1").update(key).digest("base64")
    socket.write(`HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
    let bytes = 0
    socket.on("data", part => { bytes += part.length })
    socket.on("end", () => { socket.end(); require("fs").writeFileSync("got", `${bytes}\n`) })
})
server.listen(+port, address)
END
cat >client.js <<'END'
const {Worker, isMainThread, parentPort, workerData} = require("worker_threads")
if (isMainThread) {
    const [path, host, port] = process.argv.slice(2)
    const crypto = require("crypto")
    const headers = {Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": 13,
        "Sec-WebSocket-Key": crypto.randomBytes(16).toString("base64")}
    const request = require("http").request({host, port, headers})
    request.on("upgrade", (response, socket) => {
        const worker = new Worker(__filename, {workerData: path})
        worker.on("message", dump => {
            const whole = Buffer.from(dump)
            for (let at = 0; at < whole.length; at += 16384) {
                const part = whole.subarray(at, at + 16384)
                const head = Buffer.from([0x82, 0x80 | 126, part.length >> 8, part.length & 255])
                const mask = crypto.randomBytes(4)
                socket.write(Buffer.concat([head, mask, part.map((byte, i) => byte ^ mask[i & 3])]))
            }
            socket.end()
        })
    })
    request.end()
} else {
    const bytes = require("fs").readFileSync(workerData)
    const own = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
    parentPort.postMessage(own, [own])
}
END
bg_there node server.js "$SINK" "$PORT"
until_true listens "$SINK" "$PORT"
timeout 15 node client.js "$D" "$SINK" "$PORT" || fail "client"
until_true [ -s got ]
arrived "$(cat got)" 100000
