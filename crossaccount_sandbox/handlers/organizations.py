"""AWS Organizations, as far as a member account may look: the organization that it is in.

Every account here is a member: what the management account and delegated administrators alone may ask is refused, whatever policies say.

Source: DescribeOrganization and ListAccounts in the AWS Organizations API reference; the texts as public reports quote them
(duo-labs/cloudmapper#733, aws-samples/aws-iam-access-key-auto-rotation#10).
"""

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import MANAGEMENT_ACCOUNT, Handler, World


def _organization(world: World, call: Call) -> str:
    organization = world.accounts[call.account].organization
    if organization is None:
        text = "Your account is not a member of an organization."
        raise AwsError("AWSOrganizationsNotInUseException", text)
    return organization


def describe(world: World, call: Call) -> Response:
    """DescribeOrganization.

    Raises:
        AwsError: ``AWSOrganizationsNotInUseException`` for an account of its own.
    """
    organization = _organization(world, call)
    place = f"arn:aws:organizations::{MANAGEMENT_ACCOUNT}"
    return json_response(
        {
            "Organization": {
                "Id": organization,
                "Arn": f"{place}:organization/{organization}",
                "FeatureSet": "ALL",
                "MasterAccountArn": f"{place}:account/{organization}/{MANAGEMENT_ACCOUNT}",
                "MasterAccountId": MANAGEMENT_ACCOUNT,
                "MasterAccountEmail": "management@example.com",
                "AvailablePolicyTypes": [],
            }
        }
    )


def list_accounts(world: World, call: Call) -> Response:
    """ListAccounts, which a member account may not.

    Raises:
        AwsError: ``AccessDeniedException``; ``AWSOrganizationsNotInUseException`` for an account of its own.
    """
    _organization(world, call)
    raise AwsError("AccessDeniedException", "You don't have permissions to access this resource.")


HANDLERS: dict[str, Handler] = {"DescribeOrganization": describe, "ListAccounts": list_accounts}
