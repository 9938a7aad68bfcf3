"""What AWS checks for the operations of CloudFormation, on the stack they are about.

Not here: what it checks while it makes a stack's resources; each call of these is judged as the caller's own, or as that of
the stack's role (``cloudformation.requests``).

Source: the Service Authorization Reference of AWS CloudFormation; "CloudFormation service role" in its user guide.
"""

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule
from crossaccount_sandbox.checks.tagging import request_tags

_KEYS = {
    "ChangeSetName": "cloudformation:ChangeSetName",
    "ResourceTypes": "cloudformation:ResourceTypes",
    "RoleARN": "cloudformation:RoleArn",
    "StackPolicyURL": "cloudformation:StackPolicyUrl",
    "TemplateURL": "cloudformation:TemplateUrl",
}
_ON_STACKS = (
    "CreateChangeSet CreateStack DeleteChangeSet DeleteStack DescribeChangeSet DescribeStackEvents DescribeStackResource "
    "DescribeStackResources DescribeStacks ExecuteChangeSet GetTemplate GetTemplateSummary ListChangeSets "
    "ListStackResources ListStacks UpdateStack UpdateTerminationProtection"
)
_ON_NOTHING = "ListExports ListImports ValidateTemplate"


def _stack(call: Call) -> Iterator[Check]:
    name = str(call.params.get("StackName") or "*")
    change_set = str(call.params.get("ChangeSetName") or "")
    arn = f"arn:aws:cloudformation:{call.region}:{call.account}:stack/{name}/*"
    given = {key: call.params.get(parameter) for parameter, key in _KEYS.items()}
    if "ChangeSet" not in call.operation:
        del given["cloudformation:ChangeSetName"]
    context = {key: value for key, value in given.items() if value} | request_tags(call.params.get("Tags"))
    resource = next((each for each in (name, change_set) if each.startswith("arn:")), arn)
    yield Check(f"cloudformation:{call.operation}", resource, call.account, context=context)
    if role := call.params.get("RoleARN"):
        passed = {"iam:PassedToService": "cloudformation.amazonaws.com"}
        yield Check("iam:PassRole", str(role), call.account, context=passed)


def _nothing(call: Call) -> Iterator[Check]:
    url = call.params.get("TemplateURL")
    context = {"cloudformation:TemplateUrl": url} if url else {}
    yield Check(f"cloudformation:{call.operation}", "*", call.account, context=context)


RULES: dict[str, Rule] = {
    **dict.fromkeys(_ON_STACKS.split(), _stack),
    **dict.fromkeys(_ON_NOTHING.split(), _nothing),
}
