#!/usr/bin/env bash
# botocore 1.44.5: Config(inject_host_prefix=False) keeps the prefix out of Cloud Map's host, and not out of S3 Control's.
#
# S3 Control puts the account's number before the host by its endpoint rules, which the setting does not reach. So a client with an
# endpoint_url at an address, as of an emulator, asks for ACCOUNT.127.0.0.1, a name that no resolver can have.
# Seen: http://127.0.0.1:9000/ from Cloud Map, http://111111111111.127.0.0.1:9000/v20180820/... from S3 Control.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'boto3==1.44.5' 'botocore==1.44.5'
cd "$folder"
AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none "$folder/venv/bin/python" - <<'PYTHON'
import boto3
from botocore.config import Config


class Seen(Exception):
    pass


def host_of(service, operation, **parameters):
    def stop(request, **_):
        raise Seen(request.url)

    client = boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9000",
        config=Config(inject_host_prefix=False),
    )
    client.meta.events.register("before-send", stop)
    try:
        getattr(client, operation)(**parameters)
    except Seen as seen:
        print(seen)
        return str(seen).split("/")[2]


assert host_of("servicediscovery", "discover_instances", NamespaceName="n", ServiceName="s") == "127.0.0.1:9000"
host = host_of("s3control", "get_public_access_block", AccountId="111111111111")
assert host == "111111111111.127.0.0.1:9000", host
PYTHON
