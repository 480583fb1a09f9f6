#!/bin/bash
# B-perl: perl reads the dump and prints it to a socket.
# flow: read and write of 8 KiB.
# tools: perl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
sink tcp
perl -MIO::Socket -e '
open my $dump, "<:raw", $ARGV[0];
my $sink = IO::Socket::INET->new("$ARGV[1]:$ARGV[2]");
local $/ = \65536;
print $sink $_ while <$dump>;
close $sink;' "$D" "$SINK" "$PORT"
sunk
