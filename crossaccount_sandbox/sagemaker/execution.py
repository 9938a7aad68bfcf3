"""What SageMaker does with an execution role: the session it acts in, and whether that reaches artifacts and images.

Not here: the fetching (``artifacts``).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, key_check
from crossaccount_sandbox.checks.decisions import decide
from crossaccount_sandbox.checks.s3_keys import object_encryption
from crossaccount_sandbox.handlers.storage import is_archived
from crossaccount_sandbox.images import PULL_ACTIONS, holds, image_digest, parse_image
from crossaccount_sandbox.judging.decision import Result
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.resources import key_state, object_key, owner_of_bucket, region_of_bucket
from crossaccount_sandbox.sagemaker.records import invalid
from crossaccount_sandbox.wire import AwsError
from crossaccount_sandbox.world import World


class RoleProbe:
    """What SageMaker asks with an execution role when a model is created: can it reach the artifacts and the image?

    Args:
        world: where policies are found.
        call: the CreateModel request.
        role_arn: the execution role.

    Raises:
        AwsError: when the role does not exist or does not trust SageMaker.
    """

    def __init__(self, world: World, call: Call, role_arn: str):
        self._world = world
        self._call = call
        self._role_arn = role_arn
        role = find_role(role_arn)
        trust = Check("sts:AssumeRole", role_arn, role_arn.split(":")[4], role=role_arn)
        if role is None or not self._allows("sagemaker.amazonaws.com", trust):
            raise invalid(
                f'The execution role ARN "{role_arn}" is invalid. Please ensure that the role exists and that its trust '
                'relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com".'
            )
        self._session = execution_session(role)

    def _allows(self, caller: Caller | str, check: Check) -> bool:
        return decide(self._world, caller, check, self._call).result is Result.ALLOWED

    def check_data(self, bucket: str, key: str, is_prefix: bool) -> None:
        """Refuse an artifact that the role cannot read, or that is not there."""
        uri = f"s3://{bucket}/{key}"
        owner = owner_of_bucket(bucket)
        arn = f"arn:aws:s3:::{bucket}"
        policy = ("bucket", arn)
        if owner is None or region_of_bucket(bucket) != self._call.region:
            raise self._no_access(uri)
        listing = Check("s3:ListBucket", arn, owner, policy, context={"s3:prefix": key})
        may_list = self._allows(self._session, listing)
        if is_prefix and not may_list:
            raise self._no_access(uri)
        names = self._world.object_names(bucket)
        keys = [name for name in names if name == key or (is_prefix and name.startswith(key))]
        for name in keys or [key]:
            if not self._allows(self._session, Check("s3:GetObject", f"{arn}/{name}", owner, policy)):
                raise self._no_access(uri)
        if not keys:
            raise invalid(f"Could not find model data at {uri}.") if may_list else self._no_access(uri)
        for name in keys:
            if is_archived(self._world, bucket, name):
                raise self._no_access(uri)
            kms = object_key(bucket, name)
            via = {
                "kms:ViaService": f"s3.{self._call.region}.amazonaws.com",
                **object_encryption(bucket, name),
            }
            if kms is None:
                continue
            allowed = self._allows(self._session, key_check("kms:Decrypt", kms, via))
            if not allowed or key_state(kms) != "Enabled":
                raise self._no_access(uri)

    def _no_access(self, uri: str) -> AwsError:
        return invalid(
            f'Could not access model data at {uri}. Please ensure that the role "{self._role_arn}" exists and that its '
            'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object is '
            f"located in {self._call.region}. If your Model uses multiple models or uncompressed models, please ensure "
            'that the role has "s3:ListBucket" permission.'
        )

    def check_image(self, image: str) -> None:
        """Refuse an image that the role cannot pull, or that is not there."""
        parsed = parse_image(image)
        if parsed is None:
            raise invalid(f"Could not parse the image URI {image}.")
        registry, region, name, _ = parsed
        arn = f"arn:aws:ecr:{region}:{registry}:repository/{name}"
        pulls = [Check(f"ecr:{action}", arn, registry, ("repository", arn)) for action in PULL_ACTIONS]
        login = Check("ecr:GetAuthorizationToken", "*", self._session.account)
        decisions = [decide(self._world, self._session, check, self._call) for check in (login, *pulls)]
        refused = next((decision for decision in decisions if decision.result is not Result.ALLOWED), None)
        if refused is not None and refused.policy_type == "resource":
            raise self._not_granted(image)
        digest = image_digest(image)
        if (
            refused is not None
            or digest is None
            or (registry, region, name, digest) in self._world.archived_images
        ):
            raise invalid(
                f"Role {self._role_arn} cannot pull {image}. Ensure that the role exists and the image was granted pull "
                "permission."
            )

    def check_service(self, images: list[str], model_arn: str) -> None:
        """Refuse a custom image that SageMaker itself cannot pull, where it stands beside one of AWS's own.

        Source: "Troubleshoot Inference Pipelines" in the SageMaker developer guide.
        """
        custom = {
            image: parsed
            for image in images
            if (parsed := parse_image(image)) is not None and not holds(*parsed[:3])
        }
        if custom.keys() == set(images):
            return
        context = self._world.source_context(self._session.account, model_arn)
        for image, (registry, region, name, _) in custom.items():
            arn = f"arn:aws:ecr:{region}:{registry}:repository/{name}"
            place = ("repository", arn)
            pulls = [Check(f"ecr:{action}", arn, registry, place, context=context) for action in PULL_ACTIONS]
            if not all(self._allows("sagemaker.amazonaws.com", pull) for pull in pulls):
                raise self._not_granted(image)

    @staticmethod
    def _not_granted(image: str) -> AwsError:
        return invalid(
            f"The repository of your image {image} does not grant ecr:GetDownloadUrlForLayer, ecr:BatchGetImage, "
            "ecr:BatchCheckLayerAvailability permission to sagemaker.amazonaws.com service principal."
        )


def execution_session(role: Any) -> Caller:
    """The session in which SageMaker acts with an execution role."""
    return Caller(
        arn=f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/SageMaker",
        account=role.account_id,
        unique_id=f"{role.id}:SageMaker",
        role_arn=role.arn,
    )


def artifact_locations(container: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Bucket, key, and whether it is a prefix, of every artifact that a container definition names."""
    if url := container.get("ModelDataUrl"):
        yield (*split_uri(url), False)
    sources = [container.get("ModelDataSource"), *(container.get("AdditionalModelDataSources") or [])]
    for source in sources:
        if source and source.get("S3DataSource"):
            s3 = source["S3DataSource"]
            yield (*split_uri(s3["S3Uri"]), s3.get("S3DataType") == "S3Prefix")
            if manifest := s3.get("ManifestS3Uri"):
                yield (*split_uri(manifest), False)


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of a location in S3.

    Raises:
        AwsError: ``ValidationException`` for what is none.
    """
    match = re.fullmatch(r"(?:s3|https)://([^/]+)/?(.*)", uri)
    if match is None:
        raise invalid(f"Could not parse the model data location {uri}.")
    return match[1].split(".s3")[0], match[2]
