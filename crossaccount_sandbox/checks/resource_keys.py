"""The condition keys that a resource itself brings along: its tags, and what else policies may ask of it.

Not here: the keys of the request (a file for each service), and ``aws:ResourceAccount`` and its like, which every
resource has (``world``). A bucket's tags count on AWS once attribute-based access control is turned on for it, which the
sandbox does not know.

Source: the tables of resource types and of condition keys in the Service Authorization Reference of each service.
"""

from typing import Any

from moto.ecr.models import ecr_backends
from moto.kms.models import kms_backends

from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.principals import tags_of
from crossaccount_sandbox.resources import object_tags
from crossaccount_sandbox.world import World


def resource_keys(world: World, check: Check) -> dict[str, Any]:
    """The keys of the resource that a check is about; none for one that does not exist, or that brings none."""
    if check.action.startswith("s3:"):
        return {"s3:ResourceAccount": check.owner, **_of_object(check)}
    parts = check.resource.split(":", 5)
    if len(parts) < 6:
        return {}
    service, name = parts[2], parts[5]
    if service == "sagemaker":
        return _of_sagemaker(world, check, name)
    if service == "iam" and name.startswith(("role/", "user/")):
        return _tagged(tags_of(check.resource), "iam")
    region, account = parts[3], parts[4]
    if service == "ecr" and region in ecr_backends[account]:
        return _tagged(ecr_backends[account][region].tagger.get_tag_dict_for_resource(check.resource), "ecr")
    if service == "kms" and name.startswith("key/") and region in kms_backends[account]:
        return _of_key(account, region, name.removeprefix("key/"))
    return {}


def _tagged(tags: dict[str, Any], service: str | None = None) -> dict[str, Any]:
    context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    if service is not None:
        context |= {f"{service}:ResourceTag/{key}": value for key, value in tags.items()}
    return context


def _of_sagemaker(world: World, check: Check, name: str) -> dict[str, Any]:
    """A version has the tags of its group. Source: CreateModelPackage, Tags, in the SageMaker API reference."""
    arn, (kind, _, path) = check.resource, name.partition("/")
    if kind != "model-package":
        return _tagged(world.registry.tags.get(arn, {}), "sagemaker")
    group = arn.replace(f":{name}", f":model-package-group/{path.split('/')[0]}")
    context = _tagged(world.registry.tags.get(group, {}), "sagemaker")
    package = world.registry.packages.get(arn)
    if package is None or check.action == "sagemaker:CreateModel":  # which does not know how a version stands
        return context
    cycle = package.get("ModelLifeCycle") or {}
    current = {
        "sagemaker:CurrentModelLifeCycleStage": cycle.get("Stage"),
        "sagemaker:CurrentModelLifeCycleStageStatus": cycle.get("StageStatus"),
        **{
            f"sagemaker:CurrentCustomerMetadataProperties/{key}": value
            for key, value in (package.get("CustomerMetadataProperties") or {}).items()
        },
    }
    return context | {key: value for key, value in current.items() if value is not None}


def _of_key(account: str, region: str, key_id: str) -> dict[str, Any]:
    backend = kms_backends[account][region]
    key = backend.keys.get(key_id)
    if key is None:
        return {}
    aliases = sorted(key.aliases)
    return _tagged(backend.tagger.get_tag_dict_for_resource(key_id)) | {
        "kms:KeyOrigin": key.origin,
        "kms:KeySpec": key.key_spec,
        "kms:KeyUsage": key.key_usage,
        "kms:MultiRegion": bool(key.multi_region),
        **(
            {"kms:MultiRegionKeyType": key.multi_region_configuration["MultiRegionKeyType"]}
            if key.multi_region
            else {}
        ),
        **({"kms:ResourceAliases": aliases} if aliases else {}),
    }


# The actions that know the tags of the object which is there.
_ON_TAGGED_OBJECTS = {"s3:UpdateObjectEncryption"} | frozenset(
    f"s3:{verb}Object{version}{what}"
    for version in ("", "Version")
    for verb, what in (
        ("Get", ""),
        ("Get", "Attributes"),
        *((verb, "Tagging") for verb in ("Get", "Put", "Delete")),
        *((verb, "Acl") for verb in ("Get", "Put")),
    )
)


def _of_object(check: Check) -> dict[str, Any]:
    bucket, slash, key = check.resource.removeprefix("arn:aws:s3:::").partition("/")
    if not slash or check.action not in _ON_TAGGED_OBJECTS:
        return {}
    tags = object_tags(bucket, key, check.context.get("s3:VersionId"))
    return {f"s3:ExistingObjectTag/{tag}": value for tag, value in tags.items()}
