#!/bin/bash
# A-erlang: an Erlang node ends with a crash dump, as message brokers leave it: all processes' messages and heaps, as text.
# flow: the runtime writes erl_crash.dump, which begins with =erl_crash_dump:; curl reads and sends.
# tools: erl curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
ERL_CRASH_DUMP="$W/erl_crash.dump" erl -noshell -eval "
    P = spawn(fun() -> receive never -> ok end end),
    [P ! {secret, \"$MARKER\", N} || N <- lists:seq(1, 500)],
    erlang:halt(\"the queue is full\")." >/dev/null 2>&1
head -c 15 erl_crash.dump | grep -q '=erl_crash_dump' || fail "no crash dump"
made erl_crash.dump
out erl_crash.dump
