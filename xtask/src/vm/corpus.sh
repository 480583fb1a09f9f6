# What a guest is for: the cases of the corpus, by the same program as on the host.
export CARGO_MANIFEST_DIR=/var/corpus/xtask
mkdir -p $CARGO_MANIFEST_DIR
ln -s $here/corpus $CARGO_MANIFEST_DIR/corpus
echo '#corpus'
xargs -d '\n' -a $here/arguments $here/xtask corpus --agent $here/dumptrail 2>/var/tmp/errors
echo '#errors'
cat /var/tmp/errors
