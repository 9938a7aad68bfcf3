"""A service answers in the protocol in which it is asked: results, refusals and the request's id, for every kind of service."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.loaders import Loader

from crossaccount_sandbox.accounts import REGION
from crossaccount_sandbox.faults import Rule

PROTOCOLS = ("query", "json", "smithy-rpc-v2-cbor")
ALARM = {
    "AlarmName": "spoken & to",
    "MetricName": "m",
    "Namespace": "n",
    "Statistic": "Sum",
    "Dimensions": [{"Name": "d", "Value": "v"}],
    "Period": 10,
    "EvaluationPeriods": 2,
    "Threshold": 30.5,
    "ComparisonOperator": "GreaterThanThreshold",
}


class Speaking(Loader):
    """Service descriptions in which CloudWatch has one protocol alone, as older ones did."""

    def __init__(self, protocol: str) -> None:
        super().__init__()
        self._protocol = protocol

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        model = super().load_service_model(service_name, type_name, api_version)
        if (service_name, type_name) != ("cloudwatch", "service-2"):
            return model
        spoken = {"protocol": self._protocol, "protocols": [self._protocol]}
        return {**model, "metadata": {**model["metadata"], **spoken}}


def speaking(inner: Any, protocol: str, **given: Any) -> Any:
    session = botocore.session.Session()
    session.register_component("data_loader", Speaking(protocol))
    key, secret = inner.keys["producer"]
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret, **given}
    config = Config(retries={"total_max_attempts": 1})
    return session.create_client(
        "cloudwatch", region_name=REGION, endpoint_url=inner.url, config=config, **keys
    )


@pytest.fixture(autouse=True)
def resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of S3 Control put the account in front of the host, which is an address here."""
    find = socket.getaddrinfo

    def found(host: Any, *more: Any, **named: Any) -> Any:
        return find("127.0.0.1" if str(host).endswith(".127.0.0.1") else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.fixture(scope="module", params=PROTOCOLS)
def cloudwatch(request: pytest.FixtureRequest, inner: Any) -> Iterator[Any]:
    client = speaking(inner, request.param)
    yield client
    names = [alarm["AlarmName"] for alarm in client.describe_alarms()["MetricAlarms"]]
    if names:
        client.delete_alarms(AlarmNames=names)


def refused(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        call()
    response = error.value.response
    assert response["ResponseMetadata"]["RequestId"]
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_an_alarm_is_put_and_described_in_every_protocol(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**ALARM)
    answer = cloudwatch.describe_alarms(AlarmNames=[ALARM["AlarmName"]])
    assert answer["ResponseMetadata"]["RequestId"]
    (shown,) = answer["MetricAlarms"]
    assert {name: shown[name] for name in ALARM} == ALARM
    assert (shown["ActionsEnabled"], shown["AlarmActions"]) == (True, [])
    assert shown["StateUpdatedTimestamp"].tzinfo is not None


def test_a_state_and_its_history_are_said_in_every_protocol(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**ALARM)
    name = ALARM["AlarmName"]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a < b")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a > b")
    (shown,) = cloudwatch.describe_alarms(AlarmNames=[name], StateValue="OK")["MetricAlarms"]
    assert shown["StateReason"] == "a > b"
    pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, HistoryItemType="StateUpdate", PaginationConfig={"PageSize": 1}
    )
    summaries = [item["HistorySummary"] for page in pages for item in page["AlarmHistoryItems"]]
    assert summaries[:2] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
    ]


def test_composite_and_log_alarms_are_put_in_every_protocol(cloudwatch: Any) -> None:
    cloudwatch.put_composite_alarm(AlarmName="composite", AlarmRule='ALARM("a")')
    answer = cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])
    assert [alarm["AlarmRule"] for alarm in answer["CompositeAlarms"]] == ['ALARM("a")']
    assert answer["MetricAlarms"] == []
    cloudwatch.delete_alarms(AlarmNames=["composite"])
    assert cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"] == []


@pytest.mark.parametrize(
    ("call", "code", "status"),
    [
        (
            lambda c: c.set_alarm_state(AlarmName="none", StateValue="OK", StateReason="x"),
            "ResourceNotFound",
            404,
        ),
        (lambda c: c.delete_alarms(AlarmNames=["none"]), "ResourceNotFound", 404),
        (
            lambda c: c.put_metric_alarm(**{**ALARM, "AlarmName": "x", "Metrics": [{"Id": "m"}]}),
            "ValidationError",
            400,
        ),
        (
            lambda c: c.set_alarm_state(AlarmName="none", StateValue="WRONG", StateReason="x"),
            "ValidationError",
            400,
        ),
        (lambda c: c.describe_alarms(NextToken="word"), "InvalidNextToken", 400),
        (lambda c: c.list_dashboards(), "AccessDenied", 403),
    ],
)
def test_cloudwatch_s_codes_are_the_same_in_every_protocol(
    cloudwatch: Any, call: Any, code: str, status: int
) -> None:
    assert refused(lambda: call(cloudwatch)) == (code, status)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_strangers_and_faults_are_told_in_every_protocol(inner: Any, protocol: str) -> None:
    client = speaking(inner, protocol)
    stranger = speaking(inner, protocol, aws_access_key_id="AKIANOBODY")
    assert refused(stranger.describe_alarms) == ("InvalidClientTokenId", 403)
    liar = speaking(inner, protocol, aws_secret_access_key="wrong")
    assert refused(liar.describe_alarms) == ("SignatureDoesNotMatch", 403)
    for kind, said in (("throttle", ("Throttling", 400)), ("error", ("InternalFailure", 500))):
        inner.server.faults.add(Rule(kind, "cloudwatch", times=1))
        assert refused(client.describe_alarms) == said


# A service of each kind, a call of it, and whether it is in the sandbox.
SERVICES: dict[str, tuple[str, dict[str, Any]]] = {
    "sts": ("get_caller_identity", {}),
    "iam": ("list_roles", {}),
    "cloudformation": ("list_stacks", {}),
    "cloudwatch": ("describe_alarms", {}),
    "sns": ("list_topics", {}),
    "sqs": ("list_queues", {}),
    "elbv2": ("describe_load_balancers", {}),
    "rds": ("describe_db_instances", {}),
    "autoscaling": ("describe_auto_scaling_groups", {}),
    "ec2": ("describe_instances", {}),
    "ecr": ("describe_repositories", {}),
    "kms": ("list_keys", {}),
    "sagemaker": ("list_models", {}),
    "application-autoscaling": ("describe_scalable_targets", {"ServiceNamespace": "sagemaker"}),
    "dynamodb": ("list_tables", {}),
    "secretsmanager": ("list_secrets", {}),
    "ssm": ("describe_parameters", {}),
    "lambda": ("list_functions", {}),
    "sagemaker-runtime": ("invoke_endpoint", {"EndpointName": "none", "Body": b"x"}),
    "s3": ("list_buckets", {}),
    "s3control": ("get_public_access_block", {"AccountId": "111111111111"}),
    "route53": ("list_hosted_zones", {}),
    "cloudfront": ("list_distributions", {}),
}
QUERY = ("sts", "iam", "cloudformation", "cloudwatch", "sns", "sqs", "elbv2", "rds", "autoscaling")
KINDS = {
    **dict.fromkeys(QUERY, "query"),
    **dict.fromkeys(("route53", "cloudfront"), "query"),
    **dict.fromkeys(("s3", "s3control"), "s3"),
    **dict.fromkeys(("lambda", "sagemaker-runtime"), "rest"),
    "ec2": "ec2",
}
# What each kind of service says to whom: code and status.
SAID: dict[str, dict[str, tuple[str, int]]] = {
    "unsigned": {
        "query": ("MissingAuthenticationToken", 403),
        "json": ("MissingAuthenticationTokenException", 400),
        "rest": ("MissingAuthenticationTokenException", 403),
        "s3": ("AccessDenied", 403),
        "ec2": ("MissingParameter", 400),
    },
    "unknown key": {
        "query": ("InvalidClientTokenId", 403),
        "json": ("UnrecognizedClientException", 400),
        "rest": ("UnrecognizedClientException", 403),
        "s3": ("InvalidAccessKeyId", 403),
        "ec2": ("AuthFailure", 401),
    },
    "wrong secret": {
        "query": ("SignatureDoesNotMatch", 403),
        "json": ("InvalidSignatureException", 400),
        "rest": ("InvalidSignatureException", 403),
        "s3": ("SignatureDoesNotMatch", 403),
        "ec2": ("AuthFailure", 401),
    },
    "wrong token": {
        "query": ("InvalidClientTokenId", 403),
        "json": ("UnrecognizedClientException", 400),
        "rest": ("UnrecognizedClientException", 403),
        "s3": ("InvalidToken", 400),
        "ec2": ("AuthFailure", 401),
    },
    "ended session": {
        "query": ("ExpiredToken", 403),
        "json": ("ExpiredTokenException", 400),
        "rest": ("ExpiredTokenException", 403),
        "s3": ("ExpiredToken", 400),
        "ec2": ("RequestExpired", 400),
    },
    "no right": {
        "query": ("AccessDenied", 403),
        "json": ("AccessDeniedException", 400),
        "rest": ("AccessDeniedException", 403),
        "s3": ("AccessDenied", 403),
        "ec2": ("UnauthorizedOperation", 403),
    },
}
EXCEPTIONS = {("sns", "no right"): ("AuthorizationError", 403)}
NOTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
)


@pytest.fixture(scope="module")
def refusal(inner: Any) -> Callable[[str, str], tuple[str, int]]:
    """What a service says to a kind of caller."""
    session = boto3.session.Session()
    iam, sts = inner.client("producer", "iam"), inner.client("producer", "sts")
    trust = {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName="nobody", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    live, ended = (
        sts.assume_role(RoleArn=arn, RoleSessionName=name, Policy=NOTHING)["Credentials"]
        for name in ("live", "ended")
    )
    keys = inner.server.world.keys
    keys.expire(keys.find(ended["AccessKeyId"]).caller, inner.server.world.clock())
    key = inner.keys["producer"][0]
    given = {
        "unsigned": (None, None, None),
        "unknown key": ("AKIANOBODY", "x", None),
        "wrong secret": (key, "wrong", None),
        "wrong token": (live["AccessKeyId"], live["SecretAccessKey"], "wrong"),
        "ended session": (ended["AccessKeyId"], ended["SecretAccessKey"], ended["SessionToken"]),
        "no right": (live["AccessKeyId"], live["SecretAccessKey"], live["SessionToken"]),
    }

    def ask(service: str, kind: str) -> tuple[str, int]:
        access, hidden, token = given[kind]
        signing = {"signature_version": UNSIGNED} if kind == "unsigned" else {}
        client = session.client(
            service,  # type: ignore[call-overload]
            region_name=REGION,
            endpoint_url=inner.url,
            aws_access_key_id=access,
            aws_secret_access_key=hidden,
            aws_session_token=token,
            config=Config(
                retries={"total_max_attempts": 1},
                inject_host_prefix=False,
                s3={"addressing_style": "path"},
                **signing,
            ),
        )
        name, params = SERVICES[service]
        return refused(lambda: getattr(client, name)(**params))

    return ask


# GetCallerIdentity, which is asked of STS, asks for no right.
REFUSED = [(service, kind) for service in SERVICES for kind in SAID if (service, kind) != ("sts", "no right")]


@pytest.mark.parametrize(("service", "kind"), REFUSED)
def test_every_kind_of_service_refuses_in_its_own_way(refusal: Any, service: str, kind: str) -> None:
    said = EXCEPTIONS.get((service, kind)) or SAID[kind][KINDS.get(service, "json")]
    assert refusal(service, kind) == said


# What befalls a call, in each service's own words.
FAULTS: dict[str, dict[str, tuple[str, int]]] = {
    "throttle": {
        "sts": ("Throttling", 400),
        "iam": ("Throttling", 400),
        "cloudformation": ("Throttling", 400),
        "cloudwatch": ("Throttling", 400),
        "ecr": ("ThrottlingException", 400),
        "kms": ("ThrottlingException", 400),
        "sagemaker": ("ThrottlingException", 400),
        "application-autoscaling": ("ThrottlingException", 400),
        "sagemaker-runtime": ("ThrottlingException", 429),
        "s3": ("SlowDown", 503),
        "s3control": ("SlowDown", 503),
    },
    "error": {
        "sts": ("InternalFailure", 500),
        "iam": ("InternalFailure", 500),
        "cloudformation": ("InternalFailure", 500),
        "cloudwatch": ("InternalFailure", 500),
        "ecr": ("ServerException", 500),
        "kms": ("KMSInternalException", 500),
        "sagemaker": ("InternalFailure", 500),
        "application-autoscaling": ("InternalFailure", 500),
        "sagemaker-runtime": ("InternalFailure", 500),
        "s3": ("InternalError", 500),
        "s3control": ("InternalError", 500),
    },
}


@pytest.mark.parametrize(
    ("kind", "service"), [(kind, service) for kind in FAULTS for service in FAULTS[kind]]
)
def test_a_fault_is_told_in_the_service_s_own_form(inner: Any, kind: str, service: str) -> None:
    name, params = SERVICES[service]
    inner.server.faults.add(Rule(kind, service, times=1))
    assert (
        refused(lambda: getattr(inner.client("producer", service), name)(**params)) == FAULTS[kind][service]
    )


@pytest.mark.parametrize("service", [name for name in FAULTS["error"] if name != "sts"])
def test_a_failure_of_the_sandbox_s_own_is_told_so_too(inner: Any, service: str) -> None:
    """Its world has no accounts for one call, which nothing but GetCallerIdentity does without."""
    name, params = SERVICES[service]
    client, world = inner.client("producer", service), inner.server.world
    whole, world.accounts = world.accounts, None
    try:
        said = refused(lambda: getattr(client, name)(**params))
    finally:
        world.accounts = whole
    assert said == FAULTS["error"][service]


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("sts", lambda c: c.get_caller_identity()),
        ("iam", lambda c: c.list_roles()),
        ("cloudformation", lambda c: c.list_stacks()),
        ("cloudwatch", lambda c: c.describe_alarms()),
        ("ecr", lambda c: c.describe_repositories()),
        ("kms", lambda c: c.list_keys()),
        ("sagemaker", lambda c: c.list_models()),
        ("sagemaker", lambda c: c.list_tags(ResourceArn=f"arn:aws:sagemaker:{REGION}:111111111111:model/x")),
        ("application-autoscaling", lambda c: c.describe_scalable_targets(ServiceNamespace="sagemaker")),
        ("s3", lambda c: c.list_buckets()),
    ],
)
def test_every_answer_has_the_request_s_own_id(inner: Any, service: str, call: Any) -> None:
    client = inner.client("producer", service)
    metadata = [call(client)["ResponseMetadata"] for _ in range(2)]
    ids = [each["RequestId"] for each in metadata]
    assert all(ids)
    assert ids[0] != ids[1]
    header = "x-amz-request-id" if service == "s3" else "x-amzn-requestid"
    assert [each["HTTPHeaders"][header] for each in metadata] == ids
    assert ("HostId" in metadata[0]) == (service == "s3")
    assert inner.entries[-1]["request_id"] == ids[1]


# --- as raw HTTP ---


def send(inner: Any, request: AWSRequest, service: str | None = "sts") -> tuple[int, Any, bytes]:
    """Status, headers and body of the answer; unsigned without a service."""
    if service is not None:
        SigV4Auth(Credentials(*inner.keys["producer"]), service, REGION).add_auth(request)
    made = request.prepare()
    headers = {name: str(value) for name, value in made.headers.items()}
    data: Any = made.body.encode() if isinstance(made.body, str) else made.body
    plain = urllib.request.Request(made.url, data or None, headers, method=made.method)
    try:
        with urllib.request.urlopen(plain) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_sts_answers_a_get_and_a_post_in_xml_or_json(inner: Any, method: str, accept: str) -> None:
    if method == "GET":
        request = AWSRequest("GET", f"{inner.url}/?{IDENTITY}", {"Accept": accept})
    else:
        request = AWSRequest("POST", f"{inner.url}/", {**FORM, "Accept": accept}, IDENTITY)
    status, headers, body = send(inner, request)
    assert status == 200
    if accept == "application/json":
        said = json.loads(body)["GetCallerIdentityResponse"]
        assert headers["Content-Type"] == "application/json"
        assert said["ResponseMetadata"]["RequestId"] == headers["x-amzn-RequestId"]
        assert said["GetCallerIdentityResult"]["Account"] == "111111111111"
    else:
        assert f"<RequestId>{headers['x-amzn-RequestId']}</RequestId>".encode() in body


def test_sts_refuses_in_json_whom_it_answers_in_json(inner: Any) -> None:
    unsigned = AWSRequest("GET", f"{inner.url}/?{IDENTITY}", {"Accept": "application/json"})
    status, headers, body = send(inner, unsigned, None)
    assert status == 403
    assert json.loads(body)["Error"]["Code"] == "MissingAuthenticationToken"
    assert json.loads(body)["RequestId"] == headers["x-amzn-RequestId"]


def test_times_are_numbers_where_sts_answers_in_json(inner: Any) -> None:
    body = "Action=GetSessionToken&Version=2011-06-15"
    request = AWSRequest("POST", inner.url, {**FORM, "Accept": "application/json"}, body)
    key = json.loads(send(inner, request)[2])["GetSessionTokenResponse"]["GetSessionTokenResult"]
    assert isinstance(key["Credentials"]["Expiration"], int | float)


@pytest.mark.parametrize(
    ("form", "code", "text"),
    [
        ("Action=NoSuch&Version=2011-06-15", "InvalidAction", "NoSuch for version 2011-06-15"),
        ("Action=GetCallerIdentity", "InvalidAction", "for version NO_VERSION_SPECIFIED"),
        ("Action=GetCallerIdentity&Version=", "InvalidAction", "for version <"),
        ("Action=GetCallerIdentity&Version=2000-01-01", "InvalidAction", "for version 2000-01-01"),
        (
            f"Action=NoSuch&{IDENTITY}",
            "InvalidAction",
            "NoSuch for version 2011-06-15",
        ),
        (
            "Action=AssumeRole&Version=2011-06-15&RoleSessionName=ab",
            "ValidationError",
            "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null",
        ),
        (
            "Action=AssumeRole&Version=2011-06-15&RoleArn=&RoleSessionName=ab",
            "ValidationError",
            "2 validation errors detected: Value '' at 'roleArn' failed to satisfy constraint: Member must satisfy regular "
            "expression pattern: ",
        ),
        (
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::111111111111:role/x&RoleSessionName=ab"
            "&DurationSeconds=abc",
            "MalformedInput",
            "",
        ),
    ],
)
def test_what_sts_says_of_queries_that_it_cannot_read(inner: Any, form: str, code: str, text: str) -> None:
    status, _, body = send(inner, AWSRequest("POST", inner.url, FORM, form))
    assert status == 400
    assert f"<Code>{code}</Code>".encode() in body
    assert text.encode() in body


@pytest.mark.parametrize("form", [f"{IDENTITY}&Action=NoSuch", f"{IDENTITY}&Unknown=x"])
def test_the_first_of_two_parameters_counts_and_unknown_ones_do_not(inner: Any, form: str) -> None:
    assert send(inner, AWSRequest("POST", inner.url, FORM, form))[0] == 200


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "form"),
    [
        ("/", {}, b"", 403, b"<Error><Code>AccessDenied</Code>"),
        ("/bucket/key", {}, b"", 403, b"<Error><Code>AccessDenied</Code>"),
        (
            "/",
            FORM,
            IDENTITY.encode(),
            403,
            b"<Error><Type>Sender</Type><Code>MissingAuthenticationToken</Code>",
        ),
        (
            "/",
            FORM,
            b"Action=DescribeInstances&Version=2016-11-15",
            400,
            b"<Response><Errors><Error><Code>MissingParameter</Code>",
        ),
        (
            "/",
            {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"},
            b"{}",
            400,
            b'{"__type": "MissingAuthenticationTokenException"',
        ),
        (
            "/endpoints/x/invocations",
            {},
            b"x",
            403,
            b'{"message": "Missing Authentication Token"',
        ),
        (
            "/service/GraniteServiceVersion20100801/operation/DescribeAlarms",
            {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"},
            b"\xa0",
            403,
            b"MissingAuthenticationTokenException",
        ),
    ],
)
def test_an_unsigned_request_is_refused_in_the_form_it_came_in(
    inner: Any, path: str, headers: dict[str, str], body: bytes, status: int, form: bytes
) -> None:
    got, _, said = send(inner, AWSRequest("POST", inner.url + path, headers, body), None)
    assert got == status
    assert form in said


@pytest.mark.parametrize(
    ("authorization", "service_form", "code"),
    [
        ("AWS4-HMAC-SHA256 Credential=nonsense", FORM, b"<Code>IncompleteSignature</Code>"),
        (
            "AWS4-HMAC-SHA256 Credential=nonsense",
            {"X-Amz-Target": "TrentService.ListKeys"},
            b"IncompleteSignatureException",
        ),
        ("AWS4-HMAC-SHA256 Credential=nonsense", {}, b"<Code>AuthorizationHeaderMalformed</Code>"),
        ("AWS AKIANOBODY:c2lnbmF0dXJl", {}, b"Please use AWS4-HMAC-SHA256"),
    ],
)
def test_a_signature_that_is_none_is_told_from_no_signature(
    inner: Any, authorization: str, service_form: dict[str, str], code: bytes
) -> None:
    headers = {**service_form, "Authorization": authorization}
    body = IDENTITY if service_form is FORM else ""
    status, _, said = send(inner, AWSRequest("POST", inner.url, headers, body), None)
    assert status == 400
    assert code in said


@pytest.mark.parametrize(
    "query", ["prefix=a/b", "prefix=a%2Fb", "prefix=a:b", "prefix=a%20b", "prefix=a+b", "prefix"]
)
def test_a_query_may_be_sent_less_encoded_than_it_is_signed(inner: Any, query: str) -> None:
    inner.client("producer", "s3").create_bucket(Bucket="less-encoded")
    name, _, value = query.partition("=")
    signed = {
        "a/b": "a%2Fb",
        "a:b": "a%3Ab",
        "a+b": "a%20b",
    }.get(value, value)
    request = AWSRequest("GET", f"{inner.url}/less-encoded?{name}={signed}", {"X-Amz-Content-SHA256": EMPTY})
    SigV4Auth(Credentials(*inner.keys["producer"]), "s3", REGION).add_auth(request)
    headers = {key: str(value) for key, value in request.headers.items()}
    sent = urllib.request.Request(f"{inner.url}/less-encoded?{query}", headers=headers)
    with urllib.request.urlopen(sent) as answer:
        assert answer.status == 200


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


BROKEN = [
    b"",
    b"x",
    b"\xff",
    b"\x9f",
    b"\xbf\x61",
    b"[1]",
    b"null",
    b'{"AlarmNames": 7}',
    b"\xa1\x6aAlarmNames\x07",
    b"\xa1" * 3000,
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (
            "/service/GraniteServiceVersion20100801/operation/DescribeAlarms",
            {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"},
        ),
        (
            "/",
            {
                "X-Amz-Target": "GraniteServiceVersion20100801.DescribeAlarms",
                "Content-Type": "application/x-amz-json-1.0",
            },
        ),
        ("/", FORM),
    ],
    ids=("cbor", "json", "query"),
)
def test_a_body_that_cannot_be_read_is_the_caller_s_fault(
    inner: Any, path: str, headers: dict[str, str], body: bytes
) -> None:
    status, answered, said = send(inner, AWSRequest("POST", inner.url + path, headers, body), "monitoring")
    assert status in (200, 400)
    assert answered["x-amzn-RequestId"]
    assert b"InternalFailure" not in said
