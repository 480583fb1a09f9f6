#!/bin/bash
# B-aws-s3: aws s3 cp to a server that speaks S3.
# flow: aws reads the dump several times (checksums) and sends parts of 128 KiB.
# tools: aws moto_server
# expect: sent counted port critical
. "$CORPUS/lib.sh"
mkdump
bg_there moto_server -H "$SINK" -p "$PORT"
until_true listens "$SINK" "$PORT"
export AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true HOME=$W
s3() { aws --endpoint-url "http://$SINK:$PORT" s3 "$@"; }
s3 mb s3://bucket >/dev/null
s3 cp "$D" s3://bucket/core --no-progress
arrived "$(s3 ls s3://bucket/ | awk '{ print $3 }')"
