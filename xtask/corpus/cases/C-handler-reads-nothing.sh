#!/bin/bash
# C-handler-reads-nothing: a crash handler never looks at the core; it posts what /proc tells of the process.
# flow: the handler has the dump's pipe as its input and leaves it alone; 12 KB of text go to a collector.
# tools: python3
# expect: silent
. "$CORPUS/lib.sh"
cat >handler <<END
#!/usr/bin/python3 -I
import ctypes, os, sys, urllib.request
ctypes.CDLL(None).setns(os.open("/proc/$$/ns/net", os.O_RDONLY), 0x40000000)
proc = "/proc/" + sys.argv[1] + "/"
text = "".join(open(proc + name).read() for name in ("status", "maps", "limits", "mountinfo", "maps", "status"))
urllib.request.urlopen("http://$SINK:$PORT/", (text + "." * 12000)[:12000].encode()).read()
END
chmod 755 handler
sink http
core_pattern "|$W/handler %P"
crash
sleep 2
sunk 12000
