"""What AWS answered to calls of ECR."""

import json
import re
from typing import Any

from facts import ACCOUNT, CUSTODIAN, REGION, Fact, Setting

DOCKER = "application/vnd.docker"
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/facts"
LACKS = rf"Repository policy does not exist for the repository with name 'facts' in the registry with id '{ACCOUNT}'"
PULL = {
    "Sid": "SpecificAllow",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": ["ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
}
LAID_OUT = (
    '{\n  "Version" : "2008-10-17",\n  "Statement" : [ {\n    "Sid" : "SpecificAllow",\n    "Effect" : "Allow",\n'
    f'    "Principal" : {{\n      "AWS" : "arn:aws:iam::{ACCOUNT}:root"\n    }},\n'
    '    "Action" : [ "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage" ]\n  } ]\n}'
)


def with_policy(setting: Setting, ask: Any, **document: Any) -> Any:
    """What an ask is answered while the repository has this policy."""
    setting.ecr.set_repository_policy(repositoryName="facts", policyText=json.dumps(document))
    try:
        return ask(setting.ecr)
    finally:
        if ask is not deleted:
            setting.ecr.delete_repository_policy(repositoryName="facts")


def deleted(ecr: Any) -> Any:
    return ecr.delete_repository_policy(repositoryName="facts")


def read(ecr: Any) -> Any:
    return ecr.get_repository_policy(repositoryName="facts")


FACTS: dict[str, Fact] = {
    "a repository without a policy": Fact(
        lambda s: s.ecr.get_repository_policy(repositoryName="facts"), f"{CUSTODIAN}/test_ecr_no_policy",
        "RepositoryPolicyNotFoundException", LACKS, 400,
    ),
    "a policy that is not there to be deleted": Fact(
        lambda s: s.ecr.delete_repository_policy(repositoryName="facts"), f"{CUSTODIAN}/test_ecr_no_policy (for GetRepositoryPolicy)",
        "RepositoryPolicyNotFoundException", LACKS, 400,
    ),
    "the policy of a repository that is not there": Fact(
        lambda s: s.ecr.get_repository_policy(repositoryName="none"), "turbot/steampipe-plugin-aws, issue 1938 (for another read)",
        "RepositoryNotFoundException", rf"The repository with name 'none' does not exist in the registry with id '{ACCOUNT}'", 400,
    ),
    "a policy as it was sent": Fact(
        lambda s: with_policy(s, read, Version="2012-10-17", Id="Foo", Statement=[
            {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]), f"{CUSTODIAN}/test_cross_account_ecr",
        fields={"policyText": re.compile(r'.*"Id" : "Foo".*"Principal" : "\*".*"Action" : "ecr:BatchGetImage".*', re.DOTALL)},
    ),
    "the layout of a policy": Fact(
        lambda s: with_policy(s, read, Version="2008-10-17", Statement=[PULL]), f"{CUSTODIAN}/test_ecr_remove_matched",
        fields={"policyText": LAID_OUT, "repositoryName": "facts", "registryId": ACCOUNT},
    ),
    "the layout of a policy that is put": Fact(
        lambda s: with_policy(
            s, lambda ecr: ecr.set_repository_policy(
                repositoryName="facts", policyText=json.dumps({"Version": "2008-10-17", "Statement": [PULL]})),
            Version="2008-10-17", Statement=[PULL]),
        f"{CUSTODIAN}/test_ecr_remove_matched", fields={"policyText": LAID_OUT, "repositoryName": "facts", "registryId": ACCOUNT},
    ),
    "a policy that is deleted": Fact(
        lambda s: with_policy(s, deleted, Version="2008-10-17", Statement=[PULL]), f"{CUSTODIAN}/test_ecr_remove_named",
        fields={"policyText": LAID_OUT, "repositoryName": "facts", "registryId": ACCOUNT},
    ),
    "a repository whose name breaks its pattern": Fact(
        lambda s: s.ecr.get_repository_policy(repositoryName="No Name"), f"{CUSTODIAN}/test_ecr_remove_named",
        "InvalidParameterException",
        r"Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
        r"'\(\?:\[a-z0-9\]\+\(\?:\[\._-\]\[a-z0-9\]\+\)\*/\)\*\[a-z0-9\]\+\(\?:\[\._-\]\[a-z0-9\]\+\)\*''", 400,
    ),
    "the images of a repository": Fact(
        lambda s: s.ecr.describe_images(repositoryName="facts"), f"{CUSTODIAN}/test_ecr_image_modify_policy",
        fields={
            "imageDetails/0/imageDigest": re.compile("sha256:[0-9a-f]{64}"), "imageDetails/0/imageTags": ["1"],
            "imageDetails/0/imageManifestMediaType": f"{DOCKER}.distribution.manifest.v2+json",
            "imageDetails/0/artifactMediaType": f"{DOCKER}.container.image.v1+json",
            "imageDetails/0/imageSizeInBytes": re.compile("[1-9][0-9]*"), "imageDetails/0/imagePushedAt": re.compile("20.*"),
            "imageDetails/0/registryId": ACCOUNT, "imageDetails/0/repositoryName": "facts",
        },
    ),
    "an image that is not there": Fact(
        lambda s: s.ecr.batch_delete_image(repositoryName="facts", imageIds=[{"imageTag": "latest"}]), "aws/aws-cli, issue 6424",
        fields={"imageIds": [], "failures": [
            {"imageId": {"imageTag": "latest"}, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"}]},
    ),
    "an image that is not there to be pulled": Fact(
        lambda s: s.ecr.batch_get_image(repositoryName="facts", imageIds=[{"imageTag": "latest"}]),
        "aws/aws-cli, issue 6424 (for BatchDeleteImage)",
        fields={"images": [], "failures": [
            {"imageId": {"imageTag": "latest"}, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"}]},
    ),
    "a layer that is not there": Fact(
        lambda s: s.ecr.get_download_url_for_layer(repositoryName="facts", layerDigest="sha256:" + "0" * 64),
        "monken/aws-ecr-public, issue 11", "LayersNotFoundException",
        rf"The layer with digest 'sha256:0+' does not exist within the repository with name 'facts' in the registry with id '{ACCOUNT}'",
        400,
    ),
    "a repository that one may not see": Fact(
        lambda s: s.inner.client("outsider", "ecr").get_repository_policy(repositoryName="facts", registryId=ACCOUNT),
        "IAM's rules", "AccessDeniedException",
        rf"User: \S+ is not authorized to perform: ecr:GetRepositoryPolicy on resource: {REPOSITORY}.*", 400,
    ),
}  # fmt: skip
