#!/bin/bash
# C-perl-head: a Perl daemon looks at the first line of a new dump for its type, and later uploads a day's log.
# flow: perl's buffered read takes 8 KiB of the dump; the same process sends 800 KB that it reads from another file.
# tools: perl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
seq 120000 >app.log
sink tcp
bg perl -MIO::Socket::INET -e '
    my ($dump, $log, $host, $port) = @ARGV;
    open(my $head, "<", $dump) or die; binmode $head;
    my $magic = ""; read($head, $magic, 18); close $head;
    open(my $type, ">", "type") or die; printf $type "type %d\n", unpack("x16 S", $magic); close $type;
    sleep 2;
    my $sink = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port) or die;
    open(my $in, "<", $log) or die;
    while (<$in>) { print $sink $_ }
    close $sink;' "$D" app.log "$SINK" "$PORT"
wait "$LAST"
grep -q 'type 4' type || fail "no type"
sunk 500000
