#!/usr/bin/env bash
# sagemaker 2.257.7 and sagemaker-core 2.27.0: the account id is asked of AWS's own STS host, whatever endpoint is configured.
#
# default_bucket(), get_caller_identity_arn() and account_id() make their STS client with endpoint_url=https://sts.REGION..., and
# an explicit endpoint_url goes before AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_STS and endpoint_url of the profile. Where STS is
# reached through an interface endpoint without private DNS, a proxy's host or an emulator, every other call of the same
# session goes there, and these ask another host: they fail there, or answer for another identity where the host can be reached.
# A way round is a boto3 session whose client("sts") leaves that argument out.
# Seen: boto3's own client of that session asks the configured host, the SDK's asks sts.us-east-1.amazonaws.com.
# Beside it: nothing is sent; the address is looked at before the request would go.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PYTHON'
import sys
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse

asked = []


def answered(request, **_):
    """Note the host, and answer as STS would, so that nothing is sent."""
    asked.append(urlsplit(request.url).hostname)
    response = AWSResponse(request.url, 200, {}, None)
    response._content = b"""<GetCallerIdentityResponse><GetCallerIdentityResult>
        <Account>111111111111</Account><Arn>arn:aws:iam::111111111111:user/me</Arn><UserId>me</UserId>
        </GetCallerIdentityResult></GetCallerIdentityResponse>"""
    return response


session = boto3.Session("none", "none", region_name="us-east-1")
session.events.register("before-send.sts.GetCallerIdentity", answered)
session.client("sts").get_caller_identity()
if sys.argv[1] == "2":
    from sagemaker import Session
else:
    from sagemaker.core.helper.session_helper import Session
Session(boto_session=session).account_id()
print(f"version {sys.argv[1]}: boto3 asks {asked[0]}, the SDK's session asks {asked[1]}")
assert asked == ["sts.inside.example", "sts.us-east-1.amazonaws.com"], asked
PYTHON
cd "$folder"
for pair in "2 sagemaker==2.257.7" "3 sagemaker-core==2.27.0"; do
    read -r version package <<< "$pair"
    python3 -m venv "venv$version"
    "venv$version/bin/pip" install --quiet --disable-pip-version-check "$package"
    AWS_ENDPOINT_URL_STS=https://sts.inside.example "venv$version/bin/python" -W ignore look.py "$version" 2>&1 | grep -v INFO
done
