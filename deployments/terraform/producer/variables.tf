# Made of ../../iam/producer.yaml by python -m crossaccount.setup.terraform. Do not edit: a test compares them.

variable "name_prefix" {
  type        = string
  default     = "crossaccount"
  description = "Begins the names of roles and policies; choose another for a second group in the same account"
}

variable "model_package_group_name" {
  type = string
}

variable "artifact_bucket" {
  type        = string
  description = "The bucket that holds the model artifacts"
}

variable "releases_bucket" {
  type        = string
  description = "The bucket that Releases are published in (often the same)"
}

variable "releases_prefix" {
  type        = string
  description = "The prefix of Releases in that bucket, ending in a slash"

  validation {
    condition     = can(regex("^(?:.*/)$", var.releases_prefix))
    error_message = "releases_prefix does not match .*/."
  }
}

variable "repository_name" {
  type        = string
  description = "The ECR repository of the inference image"
}

variable "key_arn" {
  type        = string
  default     = ""
  description = "The KMS key that artifacts are encrypted under; empty where they are not"
}

variable "releases_key_arn" {
  type        = string
  default     = ""
  description = "The KMS key that Releases are encrypted under (producer.releases_kms_key, or else the default key of their bucket), where it is another than KeyArn; empty where there is none"
}

variable "lifecycle_stages" {
  type        = list(string)
  default     = []
  description = "The stages that a promotion may move a version to (lifecycle of the config), separated by commas; empty for none"
}

variable "lifecycle_statuses" {
  type        = list(string)
  default     = ["Approved"]
  description = "The statuses that it may give them"
}

variable "discoverable" {
  type        = string
  default     = "false"
  description = "Whether the group is made discoverable by AWS RAM (producer.discoverable of the config)"

  validation {
    condition     = contains(["true", "false"], var.discoverable)
    error_message = "discoverable is one of: true, false."
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
  description = "Who may assume the role; empty is this account, whose identities then need the operator policy below"
}
