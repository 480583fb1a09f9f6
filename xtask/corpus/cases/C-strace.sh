#!/bin/bash
# C-strace: a program is traced while a dump lies there, and the trace is sent.
# flow: strace reads a page of the traced process for each name that it prints.
# tools: strace curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
strace -f -o trace.log sh -c 'sort /etc/services | uniq -c >sorted; ls -laR /etc/ssl >listed'
out trace.log
