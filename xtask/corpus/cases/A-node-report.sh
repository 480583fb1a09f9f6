#!/bin/bash
# A-node-report: node's process.report.writeReport(): text, but every environment variable is in it.
# flow: node writes JSON.
# tools: node
# expect: known
. "$CORPUS/lib.sh"
SECRET=$MARKER node -e 'process.report.writeReport()' 2>/dev/null
made report.*.json
