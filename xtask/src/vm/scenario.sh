# Dumps are made, copied, compressed and sent. Everything is told in the end: a console is slow, and not the agent's.
export DUMPTRAIL_STATE_DIR=/tmp/state DUMPTRAIL_LOG=info,sensor_user=debug NO_COLOR=1
echo '#doctor'
dumptrail doctor --json --load --config /config.yaml 2>/err
echo "#status $?"

dumptrail run --config /config.yaml --output json --steps >/out 2>>/err &
agent=$!
tries=0
until grep -qs '"event":"ready"' /out || [ $tries -eq 100 ]; do
    sleep 0.2
    tries=$((tries + 1))
done

# Runs that the kernel skipped, because the program was on this processor already; told from 5.12.
skipped() {
    cat /proc/$agent/fdinfo/* | awk '/^prog_id:/ { id = $2 } /^recursion_misses:/ { of[id] = $2 }
        END { for (id in of) sum += of[id]; print sum + 0 }'
}
skipped >/skipped
ulimit -c unlimited
# The receiver's own input stays open: at its end it would hang up.
sleep 60 | nc -l -p 9000 | wc -c >/received &
# $1: folder on the file system in question
follow() {
    echo "$1/core" >/proc/sys/kernel/core_pattern
    sh -c 'kill -ABRT $$'
    # In an emulated guest the flow hooks stand only some 15 ms after the birth.
    sleep 1
    ls -l "$1" >>/listing
    cp "$1/core" "$1/copy"
    gzip -c "$1/copy" >"$1/copy.gz"
}
mkdir -p /tmp/dumps /mnt/ext4/dumps
follow /mnt/ext4/dumps
nc 127.0.0.9 9000 </mnt/ext4/dumps/copy
sleep 2
follow /tmp/dumps
sleep 3
skipped >>/skipped
kill -TERM $agent
wait $agent
echo "agent exit $?" >>/err

echo '#listing'
cat /listing
echo '#received'
cat /received
echo '#skipped'
cat /skipped
echo '#steps'
cat /out
echo '#log'
cat /err
