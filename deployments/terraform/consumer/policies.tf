# Made of ../../iam/consumer.yaml by python -m crossaccount.setup.terraform. Do not edit: a test compares them.

locals {
  encrypts_storage  = !(var.endpoint_key_arn == "")
  captures          = !(var.capture_location == "")
  queues            = !(var.answers_location == "")
  keeps_failures    = !(var.failures_location == "")
  encrypts_answers  = !(var.answers_key_arn == "")
  tells_topics      = !(join(",", var.answers_topics) == "")
  queues_objects    = (local.queues) && (local.asks_objects)
  pulls_from_aws    = !(join(",", var.aws_repositories) == "")
  stands_beside     = !(var.shadow_bucket == "")
  asks_objects      = !(var.smoke_objects == "")
  runs_in_vpc       = var.in_vpc == "true"
  holds_components  = var.inference_components == "true"
  counts_all        = var.sees_all_endpoints == "true"
  encrypted         = !(var.key_arn == "")
  encrypts_releases = !(var.releases_key_arn == "")
  trusts_other      = !(var.trusted_principal_arn == "")
}

locals {
  roles = {
    ExecutionRole = {
      name                 = "${var.name_prefix}-execution"
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
              Service = "sagemaker.amazonaws.com"
            }
            Action = "sts:AssumeRole"
          },
        ]
      })
    }
    DeployerRole = {
      name                 = "${var.name_prefix}-deployer"
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
    "ExecutionRole/model" = {
      needed = true
      role   = "ExecutionRole"
      name   = "model"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "ReadArtifacts"
            Effect   = "Allow"
            Action   = "s3:GetObject"
            Resource = "arn:${local.partition}:s3:::${var.artifact_bucket}/${var.artifact_prefix}*"
          },
          {
            Sid      = "ListArtifacts"
            Effect   = "Allow"
            Action   = "s3:ListBucket"
            Resource = "arn:${local.partition}:s3:::${var.artifact_bucket}"
          },
          {
            Sid    = "PullImage"
            Effect = "Allow"
            Action = [
              "ecr:BatchCheckLayerAvailability",
              "ecr:BatchGetImage",
              "ecr:GetDownloadUrlForLayer",
            ]
            Resource = "arn:${local.partition}:ecr:${local.region}:${var.producer_account}:repository/${var.repository_name}"
          },
          {
            Sid      = "LogInToRegistry"
            Effect   = "Allow"
            Action   = "ecr:GetAuthorizationToken"
            Resource = "*"
          },
        ]
      })
    }
    "ExecutionRole/observability" = {
      needed = true
      role   = "ExecutionRole"
      name   = "observability"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "WriteLogs"
            Effect = "Allow"
            Action = [
              "logs:CreateLogGroup",
              "logs:CreateLogStream",
              "logs:DescribeLogStreams",
              "logs:PutLogEvents",
            ]
            Resource = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/sagemaker/*"
          },
          {
            Sid      = "PutMetrics"
            Effect   = "Allow"
            Action   = "cloudwatch:PutMetricData"
            Resource = "*"
          },
          {
            Sid      = "WatchAlarms"
            Effect   = "Allow"
            Action   = "cloudwatch:DescribeAlarms"
            Resource = "*"
          },
        ]
      })
    }
    "ExecutionRole/key" = {
      needed = local.encrypted
      role   = "ExecutionRole"
      name   = "key"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "DecryptArtifacts"
            Effect   = "Allow"
            Action   = "kms:Decrypt"
            Resource = var.key_arn
          },
        ]
      })
    }
    "DeployerRole/shared-package" = {
      needed = true
      role   = "DeployerRole"
      name   = "shared-package"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "ReadGroup"
            Effect = "Allow"
            Action = [
              "sagemaker:DescribeModelPackageGroup",
              "sagemaker:ListModelPackages",
            ]
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${var.producer_account}:model-package-group/${var.model_package_group_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${var.producer_account}:model-package/${var.model_package_group_name}/*",
            ]
          },
          {
            Sid      = "DescribeVersions"
            Effect   = "Allow"
            Action   = "sagemaker:DescribeModelPackage"
            Resource = "arn:${local.partition}:sagemaker:${local.region}:${var.producer_account}:model-package/${var.model_package_group_name}/*"
          },
          {
            Sid      = "DeployVersions"
            Effect   = "Allow"
            Action   = "sagemaker:CreateModel"
            Resource = "arn:${local.partition}:sagemaker:${local.region}:${var.producer_account}:model-package/${var.model_package_group_name}/*"
          },
          {
            Sid      = "ReadReleases"
            Effect   = "Allow"
            Action   = "s3:GetObject"
            Resource = "arn:${local.partition}:s3:::${var.releases_bucket}/${var.releases_prefix}${var.model_package_group_name}/*"
          },
          {
            Sid      = "CheckArtifacts"
            Effect   = "Allow"
            Action   = "s3:GetObject"
            Resource = "arn:${local.partition}:s3:::${var.artifact_bucket}/${var.artifact_prefix}*"
          },
          {
            Sid    = "ListArtifacts"
            Effect = "Allow"
            Action = "s3:ListBucket"
            Resource = [
              "arn:${local.partition}:s3:::${var.artifact_bucket}",
              "arn:${local.partition}:s3:::${var.releases_bucket}",
            ]
          },
        ]
      })
    }
    "DeployerRole/hosting" = {
      needed = true
      role   = "DeployerRole"
      name   = "hosting"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "Models"
            Effect = "Allow"
            Action = [
              "sagemaker:CreateModel",
              "sagemaker:DescribeModel",
              "sagemaker:DeleteModel",
            ]
            Resource = "arn:${local.partition}:sagemaker:${local.region}:${local.account}:model/${var.endpoint_name}-v*"
          },
          {
            Sid    = "EndpointConfigs"
            Effect = "Allow"
            Action = [
              "sagemaker:CreateEndpointConfig",
              "sagemaker:DescribeEndpointConfig",
              "sagemaker:DeleteEndpointConfig",
            ]
            Resource = "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint-config/${var.endpoint_name}-v*"
          },
          {
            Sid    = "CreateEndpoints"
            Effect = "Allow"
            Action = "sagemaker:CreateEndpoint"
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}-v*",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint-config/${var.endpoint_name}-v*",
            ]
          },
          {
            Sid    = "MoveEndpoint"
            Effect = "Allow"
            Action = "sagemaker:UpdateEndpoint"
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint-config/${var.endpoint_name}-v*",
            ]
          },
          {
            Sid    = "Endpoints"
            Effect = "Allow"
            Action = [
              "sagemaker:DescribeEndpoint",
              "sagemaker:DeleteEndpoint",
              "sagemaker:InvokeEndpoint",
              "sagemaker:InvokeEndpointWithResponseStream",
            ]
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}-v*",
            ]
          },
          {
            Sid    = "SeeWhatIsDeployed"
            Effect = "Allow"
            Action = [
              "sagemaker:ListEndpointConfigs",
              "sagemaker:ListEndpoints",
              "sagemaker:ListModelPackageGroups",
              "sagemaker:ListModels",
            ]
            Resource = "*"
          },
          {
            Sid    = "SeeQuotas"
            Effect = "Allow"
            Action = [
              "servicequotas:ListAWSDefaultServiceQuotas",
              "servicequotas:ListServiceQuotas",
            ]
            Resource = "*"
          },
          {
            Sid      = "FindAlarms"
            Effect   = "Allow"
            Action   = "cloudwatch:DescribeAlarms"
            Resource = "*"
          },
          {
            Sid      = "WithdrawProof"
            Effect   = "Allow"
            Action   = "sagemaker:DeleteTags"
            Resource = "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint-config/${var.endpoint_name}-v*"
          },
          {
            Sid    = "Tags"
            Effect = "Allow"
            Action = [
              "sagemaker:AddTags",
              "sagemaker:ListTags",
            ]
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:model/${var.endpoint_name}-v*",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint-config/${var.endpoint_name}-v*",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}-v*",
            ]
          },
          {
            Sid      = "PassExecutionRole"
            Effect   = "Allow"
            Action   = "iam:PassRole"
            Resource = "arn:${local.partition}:iam::${local.account}:role/${local.roles["ExecutionRole"].name}"
            Condition = {
              StringEquals = {
                "iam:PassedToService" = "sagemaker.amazonaws.com"
              }
            }
          },
        ]
      })
    }
    "DeployerRole/diagnosis" = {
      needed = true
      role   = "DeployerRole"
      name   = "diagnosis"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "AskWhatOwnRolesMay"
            Effect = "Allow"
            Action = [
              "iam:GetRole",
              "iam:SimulatePrincipalPolicy",
            ]
            Resource = [
              "arn:${local.partition}:iam::${local.account}:role/${local.roles["ExecutionRole"].name}",
              "arn:${local.partition}:iam::${local.account}:role/${var.name_prefix}-deployer",
            ]
          },
        ]
      })
    }
    "DeployerRole/key" = {
      needed = local.encrypted
      role   = "DeployerRole"
      name   = "key"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "CheckArtifacts"
            Effect   = "Allow"
            Action   = "kms:Decrypt"
            Resource = var.key_arn
          },
        ]
      })
    }
    "ExecutionRole/capture" = {
      needed = local.captures
      role   = "ExecutionRole"
      name   = "capture"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "WriteCaptured"
            Effect   = "Allow"
            Action   = "s3:PutObject"
            Resource = "arn:${local.partition}:s3:::${var.capture_location}*"
          },
        ]
      })
    }
    "ExecutionRole/answers" = {
      needed = local.queues
      role   = "ExecutionRole"
      name   = "answers"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "WriteAnswers"
            Effect   = "Allow"
            Action   = "s3:PutObject"
            Resource = "arn:${local.partition}:s3:::${var.answers_location}*"
          },
        ]
      })
    }
    "DeployerRole/queue" = {
      needed = local.queues
      role   = "DeployerRole"
      name   = "queue"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "QueueQuestions"
            Effect = "Allow"
            Action = "sagemaker:InvokeEndpointAsync"
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}-v*",
            ]
          },
          {
            Sid      = "ReadOwnAnswers"
            Effect   = "Allow"
            Action   = "s3:GetObject"
            Resource = "arn:${local.partition}:s3:::${var.answers_location}crossaccount-proofs/*"
          },
        ]
      })
    }
    "ExecutionRole/failures" = {
      needed = local.keeps_failures
      role   = "ExecutionRole"
      name   = "failures"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "WriteFailures"
            Effect   = "Allow"
            Action   = "s3:PutObject"
            Resource = "arn:${local.partition}:s3:::${var.failures_location}*"
          },
        ]
      })
    }
    "DeployerRole/failures" = {
      needed = local.keeps_failures
      role   = "DeployerRole"
      name   = "failures"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "ReadFailures"
            Effect   = "Allow"
            Action   = "s3:GetObject"
            Resource = "arn:${local.partition}:s3:::${var.failures_location}*"
          },
        ]
      })
    }
    "ExecutionRole/answers-key" = {
      needed = local.encrypts_answers
      role   = "ExecutionRole"
      name   = "answers-key"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "EncryptAnswers"
            Effect = "Allow"
            Action = [
              "kms:Decrypt",
              "kms:GenerateDataKey",
            ]
            Resource = var.answers_key_arn
          },
        ]
      })
    }
    "DeployerRole/answers-key" = {
      needed = local.encrypts_answers
      role   = "DeployerRole"
      name   = "answers-key"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "DecryptAnswers"
            Effect   = "Allow"
            Action   = "kms:Decrypt"
            Resource = var.answers_key_arn
          },
        ]
      })
    }
    "ExecutionRole/topics" = {
      needed = local.tells_topics
      role   = "ExecutionRole"
      name   = "topics"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "TellOfAnswers"
            Effect   = "Allow"
            Action   = "sns:Publish"
            Resource = var.answers_topics
          },
        ]
      })
    }
    "ExecutionRole/input" = {
      needed = local.queues_objects
      role   = "ExecutionRole"
      name   = "input"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "ReadQueuedQuestions"
            Effect   = "Allow"
            Action   = "s3:GetObject"
            Resource = "arn:${local.partition}:s3:::${var.smoke_objects}*"
          },
        ]
      })
    }
    "ExecutionRole/aws-images" = {
      needed = local.pulls_from_aws
      role   = "ExecutionRole"
      name   = "aws-images"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "PullAwsImages"
            Effect = "Allow"
            Action = [
              "ecr:BatchCheckLayerAvailability",
              "ecr:BatchGetImage",
              "ecr:GetDownloadUrlForLayer",
            ]
            Resource = var.aws_repositories
          },
        ]
      })
    }
    "DeployerRole/shadow" = {
      needed = local.stands_beside
      role   = "DeployerRole"
      name   = "shadow"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "ReadShadowAnswers"
            Effect   = "Allow"
            Action   = "s3:GetObject"
            Resource = "arn:${local.partition}:s3:::${var.capture_location}*/Shadow/*"
          },
          {
            Sid      = "ListShadowAnswers"
            Effect   = "Allow"
            Action   = "s3:ListBucket"
            Resource = "arn:${local.partition}:s3:::${var.shadow_bucket}"
            Condition = {
              StringLike = {
                "s3:prefix" = "*/Shadow/*"
              }
            }
          },
        ]
      })
    }
    "ExecutionRole/network" = {
      needed = local.runs_in_vpc
      role   = "ExecutionRole"
      name   = "network"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "JoinVpc"
            Effect = "Allow"
            Action = [
              "ec2:CreateNetworkInterface",
              "ec2:CreateNetworkInterfacePermission",
              "ec2:DeleteNetworkInterface",
              "ec2:DeleteNetworkInterfacePermission",
              "ec2:DescribeDhcpOptions",
              "ec2:DescribeNetworkInterfaces",
              "ec2:DescribeSecurityGroups",
              "ec2:DescribeSubnets",
              "ec2:DescribeVpcs",
            ]
            Resource = "*"
          },
        ]
      })
    }
    "DeployerRole/counting" = {
      needed = local.counts_all
      role   = "DeployerRole"
      name   = "counting"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "SeeWhatRuns"
            Effect = "Allow"
            Action = [
              "sagemaker:DescribeEndpoint",
              "sagemaker:DescribeEndpointConfig",
            ]
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/*",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint-config/*",
            ]
          },
        ]
      })
    }
    "DeployerRole/storage-key" = {
      needed = local.encrypts_storage
      role   = "DeployerRole"
      name   = "storage-key"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "LetSageMakerEncrypt"
            Effect   = "Allow"
            Action   = "kms:CreateGrant"
            Resource = var.endpoint_key_arn
            Condition = {
              StringEquals = {
                "kms:ViaService" = "sagemaker.${local.region}.amazonaws.com"
              }
            }
          },
        ]
      })
    }
    "DeployerRole/inference-components" = {
      needed = local.holds_components
      role   = "DeployerRole"
      name   = "inference-components"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "CreateComponents"
            Effect = "Allow"
            Action = "sagemaker:CreateInferenceComponent"
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:inference-component/${var.endpoint_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:inference-component/${var.endpoint_name}-v*",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:endpoint/${var.endpoint_name}-v*",
            ]
          },
          {
            Sid      = "MoveComponent"
            Effect   = "Allow"
            Action   = "sagemaker:UpdateInferenceComponent"
            Resource = "arn:${local.partition}:sagemaker:${local.region}:${local.account}:inference-component/${var.endpoint_name}"
          },
          {
            Sid    = "Components"
            Effect = "Allow"
            Action = [
              "sagemaker:AddTags",
              "sagemaker:DeleteInferenceComponent",
              "sagemaker:DescribeInferenceComponent",
              "sagemaker:ListTags",
            ]
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:inference-component/${var.endpoint_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:inference-component/${var.endpoint_name}-v*",
            ]
          },
          {
            Sid    = "AskComponents"
            Effect = "Allow"
            Action = [
              "sagemaker:InvokeEndpoint",
              "sagemaker:InvokeEndpointWithResponseStream",
            ]
            Resource = [
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:inference-component/${var.endpoint_name}",
              "arn:${local.partition}:sagemaker:${local.region}:${local.account}:inference-component/${var.endpoint_name}-v*",
            ]
          },
          {
            Sid      = "SeeComponents"
            Effect   = "Allow"
            Action   = "sagemaker:ListInferenceComponents"
            Resource = "*"
          },
          {
            Sid      = "WithdrawProofOfModel"
            Effect   = "Allow"
            Action   = "sagemaker:DeleteTags"
            Resource = "arn:${local.partition}:sagemaker:${local.region}:${local.account}:model/${var.endpoint_name}-v*"
          },
        ]
      })
    }
    "DeployerRole/releases-key" = {
      needed = local.encrypts_releases
      role   = "DeployerRole"
      name   = "releases-key"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "ReadReleases"
            Effect   = "Allow"
            Action   = "kms:Decrypt"
            Resource = var.releases_key_arn
          },
        ]
      })
    }
    "DeployerRole/smoke" = {
      needed = local.asks_objects
      role   = "DeployerRole"
      name   = "smoke"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "ReadQuestions"
            Effect   = "Allow"
            Action   = "s3:GetObject"
            Resource = "arn:${local.partition}:s3:::${var.smoke_objects}*"
          },
        ]
      })
    }
  }

  managed_policies = {
    OperatorPolicy = {
      name        = "${var.name_prefix}-consumer-operator"
      description = "For whoever runs the consumer's flows, a Prefect worker for one, to assume the deployer role"
      document = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid      = "AssumeDeployer"
            Effect   = "Allow"
            Action   = "sts:AssumeRole"
            Resource = "arn:${local.partition}:iam::${local.account}:role/${local.roles["DeployerRole"].name}"
          },
        ]
      })
    }
  }
}
