# Made of ../../iam/consumer.yaml by python -m crossaccount.setup.terraform. Do not edit: a test compares them.

variable "name_prefix" {
  type        = string
  default     = "crossaccount"
  description = "Begins the names of roles and policies; choose another for a second group in the same account"
}

variable "producer_account" {
  type = string

  validation {
    condition     = can(regex("^(?:[0-9]{12})$", var.producer_account))
    error_message = "producer_account does not match [0-9]{12}."
  }
}

variable "model_package_group_name" {
  type = string
}

variable "artifact_bucket" {
  type = string
}

variable "artifact_prefix" {
  type        = string
  default     = ""
  description = "Where the group's artifacts lie in that bucket, ending in a slash; empty is the whole bucket"
}

variable "releases_bucket" {
  type = string
}

variable "releases_prefix" {
  type = string

  validation {
    condition     = can(regex("^(?:.*/)$", var.releases_prefix))
    error_message = "releases_prefix does not match .*/."
  }
}

variable "repository_name" {
  type = string
}

variable "key_arn" {
  type        = string
  default     = ""
  description = "The producer's KMS key that artifacts are encrypted under; empty where they are not"
}

variable "releases_key_arn" {
  type        = string
  default     = ""
  description = "The producer's KMS key that Releases are encrypted under, where it is another than KeyArn; empty where there is none"
}

variable "endpoint_name" {
  type        = string
  description = "endpoint.name of the consumer in the config, in lower case: SageMaker writes it so in ARNs, whatever its case; models, endpoint configs and temporary endpoints get its name and the version"

  validation {
    condition     = can(regex("^(?:[a-z0-9](-*[a-z0-9]){0,49})$", var.endpoint_name))
    error_message = "endpoint.name of the config in lower-case letters, digits and inner hyphens."
  }
}

variable "external_id" {
  type = string

  validation {
    condition     = can(regex("^(?:[\\w+=,.@:/-]{2,})$", var.external_id)) && length(var.external_id) <= 1224
    error_message = "external_id does not match [\\w+=,.@:/-]{2,1224}."
  }
}

variable "trusted_principal_arn" {
  type        = string
  default     = ""
  description = "Who may assume the deployer; empty is this account, whose identities then need the operator policy below"
}

variable "endpoint_key_arn" {
  type        = string
  default     = ""
  description = "endpoint.kms_key of the config, the key that the instances' storage volumes are encrypted under; empty where there is none"
}

variable "capture_location" {
  type        = string
  default     = ""
  description = "Where endpoint.data_capture writes, as BUCKET/PREFIX/ without s3://; empty where nothing is captured"
}

variable "answers_location" {
  type        = string
  default     = ""
  description = "asynchronous.s3_output of the config, as BUCKET/PREFIX/ without s3://; empty for any other kind of endpoint"
}

variable "failures_location" {
  type        = string
  default     = ""
  description = "asynchronous.s3_failures of the config, as BUCKET/PREFIX/ without s3://; empty where errors are kept nowhere"
}

variable "answers_key_arn" {
  type        = string
  default     = ""
  description = "asynchronous.kms_key of the config, the key that answers are encrypted under; empty where there is none"
}

variable "answers_topics" {
  type        = list(string)
  default     = []
  description = "asynchronous.success_topic and error_topic of the config, their ARNs with a comma between; empty where there are none"
}

variable "aws_repositories" {
  type        = list(string)
  default     = []
  description = "ARNs of the repositories of AWS's own images that versions name, separated by commas; empty where images are the producer's"
}

variable "shadow_bucket" {
  type        = string
  default     = ""
  description = "The bucket of CaptureLocation where smoke_mode is shadow: the deployer reads there what shadow variants answered; empty otherwise"
}

variable "smoke_objects" {
  type        = string
  default     = ""
  description = "Where the objects of smoke.body_s3_uri lie, as BUCKET/PREFIX/ without s3://; empty where there are none"
}

variable "in_vpc" {
  type        = string
  default     = "false"
  description = "Whether the config has endpoint.vpc"

  validation {
    condition     = contains(["true", "false"], var.in_vpc)
    error_message = "in_vpc is one of: true, false."
  }
}

variable "inference_components" {
  type        = string
  default     = "false"
  description = "Whether endpoint.kind of the config is inference-components"

  validation {
    condition     = contains(["true", "false"], var.inference_components)
    error_message = "inference_components is one of: true, false."
  }
}

variable "sees_all_endpoints" {
  type        = string
  default     = "false"
  description = "Whether the deployer may describe every endpoint of the account, to count the instances that its quotas are used for; without it others' endpoints are named as not counted"

  validation {
    condition     = contains(["true", "false"], var.sees_all_endpoints)
    error_message = "sees_all_endpoints is one of: true, false."
  }
}
