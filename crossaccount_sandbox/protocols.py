"""The protocol in which a request speaks to its service: what its headers, path and body say, and whose model it is.

Not here: how a request is read (``wire``) and how an answer is written in its protocol (``answers``).

Source: "AWS protocols" of the Smithy specification, and the protocols that botocore's models name.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from moto.core.utils import get_service_model

SERVICES = (
    *("sts", "iam", "s3", "s3control", "ecr", "kms", "sagemaker", "sagemaker-runtime", "cloudformation"),
    *("cloudwatch", "application-autoscaling", "logs", "ram", "service-quotas", "ecs", "ec2"),
    "organizations",
)
# The name in a request's scope is not always the service's.
SIGNED_AS = {"monitoring": "cloudwatch", "servicequotas": "service-quotas"}
CBOR, EC2, JSON, QUERY, REST_JSON, REST_XML = "cbor", "ec2", "json", "query", "rest-json", "rest-xml"
QUERY_COMPATIBLE = frozenset(
    ("cloudwatch", "sqs")
)  # their codes are the query protocol's whatever they speak
_ABSENT_XML = frozenset(("cloudfront", "route53", "s3express", "s3-outposts"))
_ABSENT_EC2 = frozenset(("ec2", "sdb"))
_TARGETS = {
    "AWSOrganizationsV20161128": "organizations",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "AmazonEC2ContainerServiceV20141113": "ecs",
    "AmazonSQS": "sqs",
    "AnyScaleFrontendService": "application-autoscaling",
    "GraniteServiceVersion20100801": "cloudwatch",
    "SageMaker": "sagemaker",
    "ServiceQuotasV20190624": "service-quotas",
    "TrentService": "kms",
}
_VERSIONS = {
    "2010-05-08": "iam",
    "2010-05-15": "cloudformation",
    "2010-08-01": "cloudwatch",
    "2011-06-15": "sts",
    "2016-11-15": "ec2",
}
_PATHS = (
    (r"/endpoints/[^/]+/.*", "sagemaker-runtime", REST_JSON),
    (r"/v20180820/.*", "s3control", REST_XML),
    (r"/2013-04-01/.*", "route53", REST_XML),
    (r"/2020-05-31/.*", "cloudfront", REST_XML),
    (r"/\d{4}-\d{2}-\d{2}/.*", "a service", REST_JSON),
)
_FORM = "application/x-www-form-urlencoded"


class Spoken(NamedTuple):
    """To which service a request speaks, by its name in botocore, and in which protocol."""

    service: str
    protocol: str

    @property
    def in_query_codes(self) -> bool:
        """True where errors have the codes of the query protocol, which lack ``Exception`` at their end."""
        return self.protocol == QUERY or self.service in QUERY_COMPATIBLE


def form_of(environ: Mapping[str, Any], body: bytes) -> dict[str, str]:
    """The parameters of a request of the query protocol, from its body or its query string; the first of a name counts."""
    text = body.decode("utf-8", "replace") if _FORM in environ.get("CONTENT_TYPE", "") else ""
    form: dict[str, str] = {}
    for name, value in parse_qsl(text or environ.get("QUERY_STRING", ""), keep_blank_values=True):
        form.setdefault(name, value)
    return form


def spoken_to(service: str, environ: Mapping[str, Any], body: bytes) -> Spoken:
    """The protocol of a request to a service that is known from its signature."""
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        return Spoken(service, CBOR)
    if "HTTP_X_AMZ_TARGET" in environ:
        return Spoken(service, JSON)
    if service == "cloudwatch":
        return Spoken(service, QUERY)
    if service in SERVICES:
        return Spoken(service, str(get_service_model(service).protocol))
    if service in _ABSENT_EC2:
        return Spoken(service, EC2)
    if service in _ABSENT_XML:
        return Spoken(service, REST_XML)
    return Spoken(service, QUERY if "Action" in form_of(environ, body) else REST_JSON)


def guessed(environ: Mapping[str, Any], body: bytes) -> Spoken:
    """To whom a request without a signature speaks, and how, as far as its form tells; S3 is what is left."""
    path = environ.get("PATH_INFO", "")
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        return Spoken(_TARGETS.get(path.split("/")[2] if path.count("/") > 1 else "", "a service"), CBOR)
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return Spoken(_TARGETS.get(target.rpartition(".")[0], "a service"), JSON)
    form = form_of(environ, body)
    if "Action" in form:
        service = _VERSIONS.get(form.get("Version", ""), "a service")
        return Spoken(service, EC2 if service == "ec2" else QUERY)
    for pattern, service, protocol in _PATHS:
        if re.fullmatch(pattern, path):
            return Spoken(service, protocol)
    return Spoken("s3", REST_XML)
