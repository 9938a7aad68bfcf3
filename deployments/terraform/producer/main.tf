# Made of ../../iam/producer.yaml by python -m crossaccount.setup.terraform. Do not edit: a test compares them.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.id
  account   = data.aws_caller_identity.current.account_id
}

resource "aws_iam_role" "this" {
  for_each             = local.roles
  name                 = each.value.name
  assume_role_policy   = each.value.trust
  max_session_duration = each.value.max_session_duration
  tags                 = each.value.tags
}

resource "aws_iam_role_policy" "this" {
  for_each = { for key, each in local.policies : key => each if each.needed }
  role     = aws_iam_role.this[each.value.role].name
  name     = each.value.name
  policy   = each.value.document
}

resource "aws_iam_policy" "this" {
  for_each    = local.managed_policies
  name        = each.value.name
  description = each.value.description
  policy      = each.value.document
}

output "role" {
  description = "producer.role of the config"
  value       = aws_iam_role.this["SharingRole"].arn
}
