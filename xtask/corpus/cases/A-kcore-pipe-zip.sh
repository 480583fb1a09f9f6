#!/bin/bash
# A-kcore-pipe-zip: a core to a composer, as container platforms have them.
# flow: kernel, pipe, python, a zip of the core and a description of it.
# tools: python3
# expect: known
. "$CORPUS/lib.sh"
mkdir dumps
cat >helper <<END
#!$(command -v python3)
import sys, zipfile
with zipfile.ZipFile('$W/dumps/dump.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
    with archive.open('core', 'w', force_zip64=True) as member:
        while part := sys.stdin.buffer.read(65536):
            member.write(part)
    archive.writestr('info.json', '{"pid": %s}' % sys.argv[1])
END
crash_to_helper %P
settled dumps/dump.zip
made dumps/dump.zip
