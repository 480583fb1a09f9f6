# What a guest is for: the doctor's answers and the scenarios.
[ ! -e $here/peer ] || export DUMPTRAIL_TEST_PEER=$(cat $here/peer)
export DUMPTRAIL_TEST_AGENT=$here/dumptrail
echo '#doctor'
$here/dumptrail doctor --json --load --config $here/config.yaml 2>/var/tmp/errors
export DUMPTRAIL_TEST_BACKEND=$(cat $here/backend)
echo '#scenarios'
xargs -d '\n' -a $here/arguments $here/scenarios --test-threads 1 2>>/var/tmp/errors
status=$?
echo '#status'
echo $status
echo '#errors'
cat /var/tmp/errors
