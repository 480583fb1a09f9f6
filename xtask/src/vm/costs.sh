# What a guest is for: what the agent costs other programs. The guest's clock counts instructions: what looks like
# nanoseconds is instructions.
backend=$(cat $here/backend)
export DUMPTRAIL_STATE_DIR=/run/dumptrail OTEL_SDK_DISABLED=true
echo /var/tmp/core.%p >/proc/sys/kernel/core_pattern

# The first measurement warms up.
costs() {
    echo "#$1"
    printf '5\n40\n' | $here/load /var/tmp | tail -n 1
}

echo '#names'
$here/load /var/tmp
# What a kernel does by itself after it has started is no baseline (6.12: nearly twice as much on a getpid).
sleep 30
costs none
# What a hook costs that does nothing.
if [ $backend = fentry ]; then
    for how in fentry kprobe; do
        echo "#empty $how"
        printf '5\n40\n' | $here/load /var/tmp $how rw_verify_area | tail -n 1
    done
fi
start() {
    $here/dumptrail run --backend $backend --output json $* >/run/lines 2>/run/log &
    until grep -q '"event":"ready"' /run/lines; do
        sleep 0.1
    done
    sleep 3
}
stop() {
    kill -TERM $!
    wait $!
    sleep 3
}
crash() {
    sh -c 'ulimit -c unlimited; kill -SEGV $$' || sleep 20
}
start
costs idle
crash
costs armed
stop
costs again
if [ $backend = fentry ]; then
    rm -f /var/tmp/core.*
    start --config $here/blocks.yaml
    crash
    grep -q '"blocking":"enforce"' /run/lines && costs blocking
    stop
fi
echo '#errors'
grep -v INFO /run/log
