# What a guest is for: the doctor's answers and the scenarios.
[ ! -e $here/peer ] || export DUMPTRAIL_TEST_PEER=$(cat $here/peer)
export DUMPTRAIL_TEST_AGENT=$here/dumptrail
export DUMPTRAIL_TEST_BACKEND=$(cat $here/backend) DUMPTRAIL_TEST_ARMING=$(cat $here/arming)
echo '#doctor'
$here/dumptrail doctor --backend $DUMPTRAIL_TEST_BACKEND --json --load --config $here/config.yaml 2>/var/tmp/errors
echo '#scenarios'
xargs -d '\n' -a $here/arguments $here/scenarios --test-threads 1 2>>/var/tmp/errors
status=$?
echo '#status'
echo $status
echo '#errors'
cat /var/tmp/errors
