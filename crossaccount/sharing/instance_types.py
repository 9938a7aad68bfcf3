"""Whether a version supports the instance types that a config gives its endpoints: told before a deployment is refused for it.

Not here: the refusal itself (``hosting.requests``).

Source: SupportedRealtimeInferenceInstanceTypes of InferenceSpecification in the SageMaker API reference.
"""

from collections.abc import Iterable, Iterator

from crossaccount.config.model import Sharing
from crossaccount.errors import Finding, Severity
from crossaccount.registry.versions import ModelVersion


def unsupported(config: Sharing, version: ModelVersion, names: Iterable[str]) -> Iterator[Finding]:
    """A warning for each consumer whose endpoint names a type that a version was not registered for; one that names none supports any.

    Args:
        config: has the endpoints.
        version: the one that would be deployed.
        names: the consumers'.
    """
    for name in names:
        endpoint = config.consumers[name].endpoint
        try:
            supported = version.takes(endpoint.inference_specification).instance_types
        except KeyError:  # a specification that it has not, which is told beside this
            continue
        others = [each for each in endpoint.instance_types if each not in supported]
        if supported and others:
            key = "instance_pools" if endpoint.instance_pools else "instance_type"
            yield Finding(
                Severity.WARNING,
                f"consumers.{name}.endpoint.{key}",
                f"Version {version.version} does not support {', '.join(others)}: it was registered for {', '.join(supported)}. Its "
                "deployment would be refused.",
                "Write one of these, or ask its owner to register it for more.",
            )
