"""What a team has in its account before it has heard of this project: a group of its own, under its own names.

    python tests/setup/team.py PROFILE NAME        in the account of an AWS profile

The versions lie in folders of their own, each laid out as a pipeline leaves it; the second one under a customer key. Two are approved,
the third waits. Prints what it made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crossaccount_sandbox.accounts import push_image
from crossaccount_sandbox.training import TrainedModel, train_all

TYPES = ("ml.c5.xlarge", "ml.c5.large")
APPROVALS = ("Approved", "Approved", "PendingManualApproval")


@dataclass
class Team:
    """A team's own: ``client`` makes a client of a service in its account."""

    client: Callable[[str], Any]
    account: str
    name: str
    region: str = "us-east-1"
    key: str = ""

    @property
    def bucket(self) -> str:
        return f"{self.name}-models-{self.account}"

    @property
    def repository(self) -> str:
        return f"serving/{self.name}"

    @property
    def image(self) -> str:
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com/{self.repository}:2026-11"

    def settle(self) -> None:
        """A bucket, a repository with an image, a customer key and the group, without a version."""
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self.client("s3").create_bucket(
            Bucket=self.bucket, **(elsewhere if self.region != "us-east-1" else {})
        )
        self.client("ecr").create_repository(repositoryName=self.repository)
        push_image(self.client("ecr"), self.repository, "2026-11")
        self.key = self.client("kms").create_key(Description="Models")["KeyMetadata"]["Arn"]
        self.client("sagemaker").create_model_package_group(ModelPackageGroupName=self.name)

    def register(
        self,
        model: TrainedModel,
        folder: str,
        approval: str = "Approved",
        key: str = "",
        bucket: str = "",
        image: str = "",
        samples: bool = True,
        types: Sequence[str] = TYPES,
    ) -> str:
        """Register a version whose artifact lies in a folder; its ARN."""
        s3, bucket = self.client("s3"), bucket or self.bucket
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        artifact, payload = f"{folder}output/model.tar.gz", f"{folder}evaluation/samples.tar.gz"
        s3.put_object(Bucket=bucket, Key=artifact, Body=model.archive, **encryption)
        more = {"SamplePayloadUrl": f"s3://{bucket}/{payload}"} if samples else {}
        if samples:
            s3.put_object(Bucket=bucket, Key=payload, Body=model.samples, **encryption)
        supported = {"SupportedRealtimeInferenceInstanceTypes": list(types)} if types else {}
        made = self.client("sagemaker").create_model_package(
            ModelPackageGroupName=self.name,
            ModelApprovalStatus=approval,
            InferenceSpecification={
                "Containers": [{"Image": image or self.image, "ModelDataUrl": f"s3://{bucket}/{artifact}"}],
                "SupportedContentTypes": list(model.content_types),
                "SupportedResponseMIMETypes": list(model.content_types),
                **supported,
            },
            **more,
        )
        return str(made["ModelPackageArn"])

    def register_three(self, models: Sequence[TrainedModel]) -> None:
        """Three versions, the second under the key, the third not approved."""
        for number, (model, approval) in enumerate(zip(models, APPROVALS, strict=True), 1):
            folder = f"teams/{self.name}/2026-11-{number:02}/"
            self.register(model, folder, approval, self.key if number == 2 else "")


def main(profile: str, name: str) -> None:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        session = boto3.Session(profile_name=profile)
        account = session.client("sts").get_caller_identity()["Account"]
        team = Team(session.client, account, name, session.region_name or "us-east-1")
        team.settle()
        team.register_three(train_all())
    except (BotoCoreError, ClientError) as error:
        sys.exit(
            f"error: {profile}, {name}: {error}. Paste the export lines of the sandbox, or take a profile that it has, or another name."
        )
    print(f"Three versions of {name} are registered in account {account}: 1 and 2 approved, 3 not.")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python tests/setup/team.py PROFILE NAME    # for example bare-01 churn")
    main(*sys.argv[1:])
