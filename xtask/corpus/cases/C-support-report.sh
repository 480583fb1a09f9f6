#!/bin/bash
# C-support-report: a dump's type and checksum in a report with ordinary logs, sent as text and as an archive.
# flow: a few words made from the dump in files of 200 KB, which others read and send.
# tools: file tar curl
# expect: silent
# set: fast
. "$CORPUS/lib.sh"
mkdump
mkdir report
{
    uname -a
    file "$D"
    sha256sum "$D"
    seq 40000
} >report/text
seq 40000 >report/app.log
sha256sum "$D" >report/sums
tar -czf report.tar.gz report
out report/text
out report.tar.gz
