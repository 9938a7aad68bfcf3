"""Who has another provider's token has a role's session, where token, provider and trust policy hold, and else has none."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from werkzeug.test import Client

from crossaccount_sandbox.accounts import REGION
from crossaccount_sandbox.control import Control
from crossaccount_sandbox.world import OrganizationPolicies

ACCOUNT, HOST = "111111111111", "tokens.example.com/id/A"
ISSUER = f"https://{HOST}"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
KEY = RSAKey.generate_key(2048, {"kid": "rsa"})
CURVE = ECKey.generate_key("P-256", {"kid": "ec"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"})
NUMBERS = itertools.count()
TAGS = "https://aws.amazon.com/tags"


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    standing = {
        "iss": ISSUER,
        "aud": "sts.amazonaws.com",
        "sub": "repo:o/r:main",
        "iat": now,
        "exp": now + 4 * 3600,  # the cases are made when the tests are collected
    }
    return {name: value for name, value in {**standing, **more}.items() if value is not None}


def token(key: Any = KEY, algorithm: str = "RS256", **more: Any) -> str:
    return jwt.encode(
        {"alg": algorithm, "kid": key.kid}, claims(**more), key, algorithms=["RS256", "ES256", "HS256"]
    )


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(*actions: str, **conditions: Any) -> dict[str, Any]:
    asked = list(actions or ["sts:AssumeRoleWithWebIdentity"])
    statement = {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": asked}
    return {**statement, "Condition": conditions} if conditions else statement


def put(inner: Any, **given: Any) -> int:
    """The status of what is arranged over HTTP."""
    server = inner.server
    control = Control(server.world, server.outcomes, server.faults, server.images, lambda *_: [b""])
    return Client(control).put("/_sandbox/issuers", json=given).status_code


@pytest.fixture(scope="module")
def arrange(inner: Any) -> Callable[[Any], None]:
    """Gives the sandbox the provider's keys."""

    def arranged(jwks: Any) -> None:
        assert put(inner, issuer=ISSUER, jwks=jwks) == 204

    return arranged


JWKS = KeySet([KEY, CURVE]).as_dict(private=False)


@pytest.fixture(scope="module")
def iam(inner: Any, arrange: Any) -> Any:
    client = inner.client("producer", "iam")
    client.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com", "other"])
    arrange(JWKS)
    return client


@pytest.fixture
def role(iam: Any) -> Callable[..., str]:
    def make(*statements: dict[str, Any], **more: Any) -> str:
        name = f"federated-{next(NUMBERS)}"
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(*statements), **more)
        allow = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(allow))
        return str(made["Role"]["Arn"])

    return make


@pytest.fixture(scope="module")
def sts(inner: Any) -> Any:
    """A client without credentials."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    return boto3.client("sts", region_name=REGION, endpoint_url=inner.url, config=config)


def assume(sts: Any, role: str, text: str, **more: Any) -> Any:
    return sts.assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="session", WebIdentityToken=text, **more
    )


def refused(call: Callable[[], Any]) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as error:
        call()
    response = error.value.response
    assert response["ResponseMetadata"]["RequestId"]
    return (
        response["Error"]["Code"],
        response["Error"]["Message"],
        response["ResponseMetadata"]["HTTPStatusCode"],
    )


@pytest.mark.parametrize(("key", "algorithm"), [(KEY, "RS256"), (CURVE, "ES256")])
def test_a_token_that_holds_gives_a_session(
    inner: Any, sts: Any, role: Any, key: Any, algorithm: str
) -> None:
    answer = assume(sts, role(trust()), token(key, algorithm))
    assert answer["SubjectFromWebIdentityToken"] == "repo:o/r:main"
    assert (answer["Provider"], answer["Audience"]) == (PROVIDER, "sts.amazonaws.com")
    assert "PackedPolicySize" not in answer
    given = answer["Credentials"]
    keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    inner.keyed("s3", *keys).list_buckets()
    identity = inner.keyed("sts", *keys).get_caller_identity()
    assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"]
    code, _, _ = refused(inner.keyed("kms", *keys).list_keys)
    assert code == "AccessDeniedException"


NO_JWT = "The ID Token provided is not a valid JWT"
FORGED = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in ({"alg": "none"}, claims(), {})
)


@pytest.mark.parametrize(
    ("text", "code", "said", "status"),
    [
        ("no token", "InvalidIdentityToken", NO_JWT, 400),
        ("a.b.c.d", "InvalidIdentityToken", NO_JWT, 400),
        (FORGED, "InvalidIdentityToken", NO_JWT, 400),
        (FORGED.rpartition(".")[0] + ".", "InvalidIdentityToken", NO_JWT, 400),
        (
            token(OctKey.import_key(str(JWKS["keys"][0]["n"]), {"kid": "rsa"}), "HS256"),
            "InvalidIdentityToken",
            NO_JWT,
            400,
        ),
        (token(STRANGER), "InvalidIdentityToken", "Token signature invalid", 400),
        (
            token(RSAKey.generate_key(2048, {"kid": "unheard"})),
            "InvalidIdentityToken",
            "Couldn't retrieve verification key from your identity provider",
            400,
        ),
        (
            token(iss="https://elsewhere.example.com"),
            "InvalidIdentityToken",
            "No OpenIDConnect provider found in your account for https://elsewhere.example.com",
            400,
        ),
        (
            token(iss=ISSUER.replace("https", "http")),
            "InvalidIdentityToken",
            "No OpenIDConnect provider found in your account for http://",
            400,
        ),
        (token(aud="another"), "InvalidIdentityToken", "Incorrect token audience", 400),
        (token(aud=None), "InvalidIdentityToken", "Incorrect token audience", 400),
        (token(azp="another"), "InvalidIdentityToken", "Incorrect token audience", 400),
        (token(exp=int(time.time()) - 1), "ExpiredTokenException", "Token expired: current date/time ", 400),
        (token(exp=None), "InvalidIdentityToken", NO_JWT, 400),
        (token(nbf=int(time.time()) + 2 * 3600), "InvalidIdentityToken", "not valid before", 400),
        (token(sub=None), "InvalidIdentityToken", NO_JWT, 400),
        *(
            (token(**{TAGS: odd}), "InvalidIdentityToken", NO_JWT, 400)
            for odd in (
                *("team", {"principal_tags": ["team"]}, {"principal_tags": {"team": []}}),
                *({"principal_tags": {"team": [1]}}, {"principal_tags": {"team": ["a", "b"]}}),
                {"principal_tags": {"team": ["a"]}, "transitive_tag_keys": "team"},
            )
        ),
    ],
)
def test_a_token_that_does_not_hold_gives_none(
    sts: Any, role: Any, text: str, code: str, said: str, status: int
) -> None:
    got, message, answered = refused(lambda: assume(sts, role(trust()), text))
    assert (got, answered) == (code, status)
    assert said in message
    assert text not in message


@pytest.mark.parametrize(
    ("statement", "more", "may"),
    [
        (trust(StringEquals={f"{HOST}:aud": "sts.amazonaws.com"}), {}, True),
        (trust(StringEquals={f"{HOST}:aud": "other"}), {}, False),
        (trust(StringEquals={f"{HOST}:aud": "other"}), {"aud": ["nobody", "other"]}, True),
        (trust(StringLike={f"{HOST}:sub": "repo:o/r:*"}), {}, True),
        (trust(StringLike={f"{HOST}:sub": "repo:o/r:*"}), {"sub": "repo:o/other:main"}, False),
        (trust(StringEquals={"elsewhere.example.com:sub": "repo:o/r:main"}), {}, False),
        (trust(StringEquals={"sts:RoleSessionName": "session"}), {}, True),
        (trust(StringEquals={"sts:RoleSessionName": "another"}), {}, False),
        (trust("sts:AssumeRole"), {}, False),
        ({**trust(), "Principal": {"AWS": ACCOUNT}}, {}, False),
        ({**trust(), "Principal": {"Federated": PROVIDER + "/other"}}, {}, False),
        ({**trust(), "Effect": "Deny"}, {}, False),
        (trust(), {TAGS: {"principal_tags": {"team": ["a"]}}}, False),
        (
            trust("sts:AssumeRoleWithWebIdentity", "sts:TagSession"),
            {TAGS: {"principal_tags": {"team": ["a"]}}},
            True,
        ),
    ],
)
def test_the_trust_policy_is_asked_with_what_the_token_claims(
    sts: Any, role: Any, statement: dict[str, Any], more: dict[str, Any], may: bool
) -> None:
    arn, text = role(statement), token(**more)
    if may:
        assume(sts, arn, text)
        return
    said = refused(lambda: assume(sts, arn, text))
    assert said == ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)


@pytest.mark.parametrize(
    ("condition", "may"),
    [
        ({"StringNotEquals": {f"{HOST}:aud": "sts.amazonaws.com"}}, True),
        ({"StringNotLike": {f"{HOST}:sub": "repo:other/*"}}, False),
        ({"BoolIfExists": {"aws:PrincipalIsAWSService": "true"}}, True),
        ({}, False),
    ],
)
def test_an_organization_may_keep_out_who_has_a_token(
    inner: Any, sts: Any, role: Any, condition: dict[str, Any], may: bool
) -> None:
    denial = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity", "Resource": "*"}
    denial |= {"Condition": condition} if condition else {}
    policies, arn = inner.server.world.organization_policies, role(trust())
    policies[ACCOUNT] = OrganizationPolicies(resource_control={"arn": json.loads(document(denial))})
    try:
        if may:
            assume(sts, arn, token())
        else:
            assert refused(lambda: assume(sts, arn, token()))[0] == "AccessDenied"
    finally:
        del policies[ACCOUNT]


def test_a_role_that_is_not_there_is_refused_as_one_that_does_not_trust(sts: Any, role: Any) -> None:
    role(trust())
    code, text, status = refused(lambda: assume(sts, f"arn:aws:iam::{ACCOUNT}:role/none", token()))
    assert (code, status) == ("AccessDenied", 403)
    assert "none" not in text


def test_a_provider_is_its_own_account_s(inner: Any, sts: Any, role: Any) -> None:
    role(trust())
    code, text, _ = refused(lambda: assume(sts, "arn:aws:iam::222222222222:role/any", token()))
    assert code == "InvalidIdentityToken"
    assert "No OpenIDConnect provider found" in text


@pytest.mark.parametrize(
    ("jwks", "code"),
    [({"keys": []}, "InvalidIdentityToken"), (None, "IDPCommunicationError")],
)
def test_without_the_provider_s_keys_no_token_passes(
    sts: Any, role: Any, arrange: Any, jwks: Any, code: str
) -> None:
    arn = role(trust())
    arrange(jwks)
    try:
        assert refused(lambda: assume(sts, arn, token()))[0] == code
    finally:
        arrange(JWKS)
    assume(sts, arn, token())


def test_what_the_token_claims_is_asked_of_the_session_too(inner: Any, iam: Any, sts: Any, role: Any) -> None:
    arn = role(trust())
    only = {"StringEquals": {f"{HOST}:sub": "repo:o/r:main", "aws:FederatedProvider": PROVIDER}}
    allow = {"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*", "Condition": only}
    iam.put_role_policy(RoleName=arn.rpartition("/")[2], PolicyName="q", PolicyDocument=document(allow))
    for subject, may in (("repo:o/r:main", True), ("repo:o/r:other", False)):
        key = assume(sts, arn, token(sub=subject))["Credentials"]
        kms = inner.keyed("kms", key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
        if may:
            kms.list_keys()
        else:
            assert refused(kms.list_keys)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"DurationSeconds": 7200}, "ValidationError"),
        ({"Policy": "{"}, "MalformedPolicyDocument"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/NoSuchPolicy"}]}, "MalformedPolicyDocument"),
    ],
)
def test_a_token_s_session_has_a_role_s_limits(sts: Any, role: Any, given: dict[str, Any], code: str) -> None:
    arn = role(trust())
    assert refused(lambda: assume(sts, arn, token(), **given))[0] == code


def test_a_session_policy_narrows_a_token_s_session(inner: Any, sts: Any, role: Any) -> None:
    deny = document({"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"})
    answer = assume(sts, role(trust()), token(), Policy=deny)
    key = answer["Credentials"]
    s3 = inner.keyed("s3", key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    assert refused(s3.list_buckets)[0] == "AccessDenied"
    assert answer["PackedPolicySize"] > 0


@pytest.mark.parametrize("operation", ["assume_role", "get_session_token", "get_caller_identity"])
def test_nothing_else_is_done_for_who_did_not_sign(sts: Any, operation: str) -> None:
    params = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any", "RoleSessionName": "ab"}
    call = getattr(sts, operation)
    code, _, status = refused(lambda: call(**params) if operation == "assume_role" else call())
    assert (code, status) == ("MissingAuthenticationToken", 403)


def test_a_profile_with_a_token_s_file_needs_no_credentials(inner: Any, role: Any, tmp_path: Any) -> None:
    (tmp_path / "token").write_text(token())
    (tmp_path / "config").write_text(
        f"[profile federated]\nregion = {REGION}\nrole_arn = {role(trust())}\n"
        f"web_identity_token_file = {tmp_path / 'token'}\nendpoint_url = {inner.url}\n"
    )
    code = "import boto3; print(boto3.Session(profile_name='federated').client('sts').get_caller_identity()['Arn'])"
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": inner.url,
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert "assumed-role/federated-" in done.stdout, done.stderr


def test_no_token_is_in_the_log_of_calls(inner: Any, sts: Any, role: Any) -> None:
    text = token()
    assume(sts, role(trust()), text)
    entry = inner.entries[-1]
    assert (entry["service"], entry["operation"], entry["account"]) == (
        "sts",
        "AssumeRoleWithWebIdentity",
        None,
    )
    assert text not in json.dumps(inner.entries)


@pytest.mark.parametrize(
    "given",
    [{"issuer": ISSUER}, {"issuer": ISSUER, "jwks": {}}, {"issuer": ISSUER, "jwks": {"keys": 1}}],
)
def test_keys_that_are_none_are_not_arranged(inner: Any, iam: Any, given: dict[str, Any]) -> None:
    before = dict(inner.server.world.issuers)
    assert put(inner, **given) == 400
    assert inner.server.world.issuers == before
