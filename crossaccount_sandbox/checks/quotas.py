"""What AWS checks for the operations of Service Quotas: reading quotas names no resource.

Source: "Actions, resources, and condition keys for Service Quotas" in the Service Authorization Reference.
"""

from crossaccount_sandbox.checks.check import Rule, own

_READS = ("ListServiceQuotas", "ListAWSDefaultServiceQuotas", "GetServiceQuota", "GetAWSDefaultServiceQuota")
RULES: dict[str, Rule] = {name: own(f"servicequotas:{name}") for name in _READS}
