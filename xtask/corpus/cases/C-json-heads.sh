#!/bin/bash
# C-json-heads: JSON that begins as heap snapshots and node's reports do, and is none; a text profile of the old hprof agent.
# flow: curl reads and sends text.
# tools: python3 curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
sha256sum "$D" >/dev/null
python3 - <<'END'
rows = ",".join('{"id":%d,"name":"disk-%d"}' % (n, n) for n in range(2000))
heads = {
    "Heap.20250101.120000.77.0.001.heapsnapshot": '{"snapshot":{"meta":{"node_count":3,"nodes":[%s]}}}',
    "cluster.json": '{"snapshot":{"meta":{"node_fields":["id","name"],"nodes":[%s]}}}',
    "report.20250101.120000.77.0.001.json": '{"header":{"report":"nightly"},"tests":[%s]}',
    "pretty.json": '\n{\n  "header": {\n    "report": 1\n  },\n  "tests": [%s]\n}\n',
    "java.hprof.txt": "JAVA PROFILE 1.0.1, created Mon Jan  6 12:00:00 2025\n\nCPU SAMPLES BEGIN (total = 9)\n%s\nCPU SAMPLES END\n",
}
for name, head in heads.items():
    open(name, "w").write(head % rows)
END
sink http
for file in Heap.* cluster.json report.* pretty.json java.hprof.txt; do
    curl -sS -T "$file" "http://$SINK:$PORT/up" >/dev/null
done
sunk 200000
