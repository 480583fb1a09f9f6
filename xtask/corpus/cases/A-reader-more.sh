#!/bin/bash
# A-reader-more: a service that has read 200 KiB of a dump of another dumps its own heap, which is larger, and uploads it.
# flow: the writer holds a dump already: what it writes is its own all the same; another process sends it.
# tools: node curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
heap_of_a_reader 204800
