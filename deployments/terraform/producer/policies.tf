# Made of ../../iam/producer.yaml by python -m crossaccount.setup.terraform. Do not edit: a test compares them.

locals {
  encrypted         = !(var.key_arn == "")
  encrypts_releases = !(var.releases_key_arn == "")
  is_discoverable   = var.discoverable == "true"
  tells_stages      = !(join("", var.lifecycle_stages) == "")
  trusts_other      = !(var.trusted_principal_arn == "")
}

locals {
  roles = {
    SharingRole = {
      name                 = "${var.name_prefix}-producer"
      max_session_duration = 3600
      tags = {
        "crossaccount:template" = "1"
      }
      trust = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Effect = "Allow"
            Principal = {
              AWS = local.trusts_other ? var.trusted_principal_arn : "arn:${local.partition}:iam::${local.account}:root"
            }
            Action = "sts:AssumeRole"
            Condition = {
              StringEquals = {
                "sts:ExternalId" = var.external_id
              }
            }
          },
        ]
      })
    }
  }

  policies = {
    "SharingRole/registry" = {
      needed = true
      role   = "SharingRole"
      name   = "registry"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "ReadVersions"
            Effect = "Allow"
            Action = [
              "sagemaker:ListModelPackages",
              "sagemaker:DescribeModelPackage",
            ]
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:model-package-group/${var.model_package_group_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:model-package/${var.model_package_group_name}/*",
            ]
          },
          {
            Sid    = "ShareGroup"
            Effect = "Allow"
            Action = [
              "sagemaker:GetModelPackageGroupPolicy",
              "sagemaker:PutModelPackageGroupPolicy",
              "sagemaker:DeleteModelPackageGroupPolicy",
            ]
            Resource = "arn:${local.partition}:sagemaker:${local.region}:${local.account}:model-package-group/${var.model_package_group_name}"
          },
        ]
      })
    }
    "SharingRole/repository" = {
      needed = true
      role   = "SharingRole"
      name   = "repository"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "ShareRepository"
            Effect = "Allow"
            Action = [
              "ecr:GetRepositoryPolicy",
              "ecr:SetRepositoryPolicy",
              "ecr:DeleteRepositoryPolicy",
            ]
            Resource = "arn:${local.partition}:ecr:${local.region}:${local.account}:repository/${var.repository_name}"
          },
          {
            Sid      = "ReadRegistryPolicy"
            Effect   = "Allow"
            Action   = "ecr:GetRegistryPolicy"
            Resource = "*"
          },
          {
            Sid      = "ResolveImages"
            Effect   = "Allow"
            Action   = "ecr:BatchGetImage"
            Resource = "arn:${local.partition}:ecr:${local.region}:${local.account}:repository/${var.repository_name}"
          },
        ]
      })
    }
    "SharingRole/bucket" = {
      needed = true
      role   = "SharingRole"
      name   = "bucket"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "ShareBuckets"
            Effect = "Allow"
            Action = [
              "s3:GetBucketPolicy",
              "s3:PutBucketPolicy",
              "s3:DeleteBucketPolicy",
              "s3:GetBucketAcl",
              "s3:GetBucketOwnershipControls",
              "s3:GetBucketPublicAccessBlock",
              "s3:GetEncryptionConfiguration",
              "s3:ListBucket",
            ]
            Resource = [
              "arn:${local.partition}:s3:::${var.artifact_bucket}",
              "arn:${local.partition}:s3:::${var.releases_bucket}",
            ]
          },
          {
            Sid    = "ReadArtifacts"
            Effect = "Allow"
            Action = "s3:GetObject"
            Resource = [
              "arn:${local.partition}:s3:::${var.artifact_bucket}/*",
              "arn:${local.partition}:s3:::${var.releases_bucket}/${var.releases_prefix}*",
            ]
          },
          {
            Sid      = "SeeAccountPublicAccessBlock"
            Effect   = "Allow"
            Action   = "s3:GetAccountPublicAccessBlock"
            Resource = "*"
          },
          {
            Sid      = "PublishReleases"
            Effect   = "Allow"
            Action   = "s3:PutObject"
            Resource = "arn:${local.partition}:s3:::${var.releases_bucket}/${var.releases_prefix}*"
          },
        ]
      })
    }
    "SharingRole/keys" = {
      needed = true
      role   = "SharingRole"
      name   = "keys"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "SeeWhatKeysAre"
            Effect   = "Allow"
            Action   = "kms:DescribeKey"
            Resource = "arn:${local.partition}:kms:${local.region}:${local.account}:key/*"
          },
        ]
      })
    }
    "SharingRole/key" = {
      needed = local.encrypted
      role   = "SharingRole"
      name   = "key"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "ShareKey"
            Effect = "Allow"
            Action = [
              "kms:DescribeKey",
              "kms:Decrypt",
              "kms:GenerateDataKey",
              "kms:GetKeyPolicy",
              "kms:PutKeyPolicy",
            ]
            Resource = var.key_arn
          },
        ]
      })
    }
    "SharingRole/releases-key" = {
      needed = local.encrypts_releases
      role   = "SharingRole"
      name   = "releases-key"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "ShareReleasesKey"
            Effect = "Allow"
            Action = [
              "kms:DescribeKey",
              "kms:Decrypt",
              "kms:GenerateDataKey",
              "kms:GetKeyPolicy",
              "kms:PutKeyPolicy",
            ]
            Resource = var.releases_key_arn
          },
        ]
      })
    }
    "SharingRole/lifecycle" = {
      needed = local.tells_stages
      role   = "SharingRole"
      name   = "lifecycle"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "TellStages"
            Effect   = "Allow"
            Action   = "sagemaker:UpdateModelPackage"
            Resource = "arn:${local.partition}:sagemaker:${local.region}:${local.account}:model-package/${var.model_package_group_name}/*"
            Condition = {
              StringEquals = {
                "sagemaker:ModelLifeCycle:stage"       = var.lifecycle_stages
                "sagemaker:ModelLifeCycle:stageStatus" = var.lifecycle_statuses
              }
              Null = {
                "sagemaker:ModelApprovalStatus"                = "true"
                "sagemaker:CustomerMetadataPropertiesToRemove" = "true"
              }
            }
          },
        ]
      })
    }
    "SharingRole/discovery" = {
      needed = local.is_discoverable
      role   = "SharingRole"
      name   = "discovery"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "FindShares"
            Effect = "Allow"
            Action = [
              "ram:GetResourceShareAssociations",
              "ram:GetResourceShares",
            ]
            Resource = "*"
          },
          {
            Sid    = "PromoteShares"
            Effect = "Allow"
            Action = [
              "ram:ListResourceSharePermissions",
              "ram:PromoteResourceShareCreatedFromPolicy",
            ]
            Resource = "arn:${local.partition}:ram:${local.region}:${local.account}:resource-share/*"
          },
          {
            Sid      = "PromotePermissions"
            Effect   = "Allow"
            Action   = "ram:PromotePermissionCreatedFromPolicy"
            Resource = "arn:${local.partition}:ram:${local.region}:${local.account}:permission/*"
          },
        ]
      })
    }
  }

  managed_policies = {
    OperatorPolicy = {
      name        = "${var.name_prefix}-producer-operator"
      description = "For whoever runs the producer's flows, a Prefect worker for one, to assume the sharing role"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "AssumeSharingRole"
            Effect   = "Allow"
            Action   = "sts:AssumeRole"
            Resource = "arn:${local.partition}:iam::${local.account}:role/${local.roles["SharingRole"].name}"
          },
        ]
      })
    }
  }
}
