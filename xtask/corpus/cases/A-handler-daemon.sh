#!/bin/bash
# A-handler-daemon: a core to a helper that goes into the background at once, gives up its rights and stores it later.
# flow: kernel, pipe; the process that the kernel started is gone before anything is read; its grandchild reads, as
#   nobody, writes, and renames what it wrote.
# tools: python3
# expect: known
. "$CORPUS/lib.sh"
mkdir -m 777 dumps
cat >helper <<END
#!$(python3 -c 'import sys; print(sys.executable)')
import os, shutil, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
time.sleep(.5)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
with open('$W/dumps/.partial', 'xb') as core:
    shutil.copyfileobj(sys.stdin.buffer, core)
os.rename('$W/dumps/.partial', '$W/dumps/report')
END
crash_to_helper
until_true [ -e dumps/report ]
made dumps/report
