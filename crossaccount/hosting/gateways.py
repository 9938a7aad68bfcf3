"""The gateway to a consumer's endpoint, by what carries a version there: the endpoint itself, or an inference component on it.

Not here: how a version is moved (``carriers``).
"""

from crossaccount.aws.access import Target
from crossaccount.config.kinds import COMPONENTS
from crossaccount.hosting.component_gateway import ComponentGateway
from crossaccount.hosting.gateway import Gateway


def open_gateway(target: Target) -> Gateway:
    """The gateway whose endpoints show what serves a version, for the kind of endpoint that the config asks for."""
    kind = target.consumer.endpoint.hosting_kind
    return ComponentGateway(target.sagemaker) if kind == COMPONENTS else Gateway(target.sagemaker)
