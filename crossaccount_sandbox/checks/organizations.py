"""What AWS checks for the operations of AWS Organizations: reading names no resource.

Source: "Actions, resources, and condition keys for AWS Organizations" in the Service Authorization Reference.
"""

from crossaccount_sandbox.checks.check import Rule, own

RULES: dict[str, Rule] = {
    name: own(f"organizations:{name}") for name in ("DescribeOrganization", "ListAccounts")
}
