#!/usr/bin/env bash
# moto 5.2.5: an object under a KMS key has the MD5 digest of its bytes as its ETag, and keeps it when it is copied under another key.
#
# The S3 API reference (Object, ETag) says that an object under SSE-KMS has an ETag that is no MD5 digest. A check that compares an
# ETag with the digest of a file, or takes an equal ETag after a copy for granted, passes here and fails there.
# Seen: the ETag of the upload and of the copy is 9dd4e461268c8034f5c8564e155c67a6, which is the MD5 digest of "x".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[kms,s3]==5.2.5' 'boto3>=1.44'
cd "$folder"
AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1 "$folder/venv/bin/python" - <<'PYTHON'
import hashlib

import boto3
from moto import mock_aws

with mock_aws():
    s3, kms = boto3.client("s3"), boto3.client("kms")
    first, second = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    s3.create_bucket(Bucket="models")
    under = {"ServerSideEncryption": "aws:kms"}
    s3.put_object(Bucket="models", Key="model", Body=b"x", SSEKMSKeyId=first, **under)
    s3.copy_object(
        Bucket="models", Key="copy", CopySource={"Bucket": "models", "Key": "model"}, SSEKMSKeyId=second, **under
    )
    heads = [s3.head_object(Bucket="models", Key=key) for key in ("model", "copy")]
    print([(head["SSEKMSKeyId"], head["ETag"]) for head in heads])
    assert [head["SSEKMSKeyId"] for head in heads] == [first, second]
    assert {head["ETag"].strip('"') for head in heads} == {hashlib.md5(b"x").hexdigest()}
PYTHON
