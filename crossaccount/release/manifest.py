"""The Release as data: an immutable manifest of one shared version, and the only thing that crosses between the accounts.

It names no consumer, so it stays true as consumers come and go. Not here: where it is stored (``store``), and making it
(``sharing.publish``).
"""

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from crossaccount.config.loading import parse_question
from crossaccount.config.question_agreement import EXPECTATIONS
from crossaccount.config.smoke import Smoke
from crossaccount.doors.key import KEY
from crossaccount.errors import LAST_VERSION
from crossaccount.registry.artifacts import artifact_at
from crossaccount.registry.versions import Contents, ModelVersion
from crossaccount.strict_json import check_whole_number, is_finite, parse_model_json

RELEASE_LIMIT = 1_000_000
MEMBER_LIMIT, SAMPLES_LIMIT = 1_000_000, 100


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it holds a character that cannot be printed")
    return text


_Short = Annotated[str, Field(max_length=2048), AfterValidator(_printable)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


# A sample of these was all there was, and its content type is not looked at.
_OLD_KEYS = {"content_type", "body", "accept", "expect"}


class Sample(_Model):
    """One question to the endpoint, and what the answer of the producer's own model was, or is expected to be.

    Its keys are those of a question of the config; one that was given is written, and no other. A question has its bytes with it: no
    account reads a file or an object because another one says so. An expectation with NaN or an infinite number, which JSON cannot
    carry, is written as a text of JSON, under its key with ``_json`` behind it. Several accepted types are written as one header.
    """

    content_type: _Short
    body: Annotated[str, Field(max_length=MEMBER_LIMIT)] | None = None
    body_base64: Annotated[str, Field(max_length=MEMBER_LIMIT)] | None = None
    accept: _Short = "application/json"
    container: _Short | None = None
    stream: bool | None = None
    read_as: _Short | None = None
    expect: JsonValue = None
    expect_within: JsonValue = None
    expect_json_path: JsonValue = None
    expect_schema: JsonValue = None
    expect_label: JsonValue = None
    expect_array: JsonValue = None
    expect_text: JsonValue = None
    expect_sha256: JsonValue = None
    expect_length: JsonValue = None

    @model_validator(mode="before")
    @classmethod
    def _with_answer(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        for key in ("body_file", "body_s3_uri"):
            if given.get(key) is not None:
                sentence = f"{key} leads out of the sample. Write the bytes as body_base64, as the command samples does."
                raise PydanticCustomError("fault", "{sentence}", {"sentence": sentence})
        texts = [
            key for key in EXPECTATIONS if key not in given and isinstance(given.get(f"{key}_json"), str)
        ]
        rest = {key: value for key, value in given.items() if key.removesuffix("_json") not in texts}
        wishes = rest.get("accept", "application/json")
        if wishes is None or (isinstance(wishes, list) and all(isinstance(wish, str) for wish in wishes)):
            rest["accept"] = ", ".join(wishes or ())  # as the header has them
        return {**rest, **{key: parse_model_json(given[f"{key}_json"]) for key in texts}}

    @model_validator(mode="after")
    def _is_question(self) -> Self:
        """Hold it to the rules of the config; an old sample, of text and the very answer, is read as it always was."""
        try:
            self.question()
        except ValueError as error:
            raise PydanticCustomError("fault", "{sentence}", {"sentence": str(error)}) from None
        return self

    @property
    def _present(self) -> dict[str, Any]:
        values = {key: getattr(self, key) for key in type(self).model_fields if key in self.model_fields_set}
        return {key: value for key, value in values.items() if value is not None or key == "expect"}

    def question(self) -> Smoke:
        """The question as one of the config.

        Raises:
            ValueError: in a short sentence, where no config could have it.
        """
        present = self._present
        if present.keys() == _OLD_KEYS or present.keys() == _OLD_KEYS - {"accept"}:
            return Smoke.model_construct(**present)
        return parse_question(present)

    @model_serializer(mode="wrap")
    def _carried(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        present = self._present.keys() | {"accept"}
        written = {key: value for key, value in handler(self).items() if key in present}
        for key in [key for key in EXPECTATIONS if key in written and not is_finite(written[key])]:
            written[f"{key}_json"] = json.dumps(written.pop(key))
        return written


class ReleasedArtifact(_Model):
    """An artifact and its ETag when it was shared; a prefix has none."""

    uri: _Short
    etag: _Short | None


class ReleasedContainer(_Model):
    """A container: its image, pinned by digest, and its artifacts. ``specification`` is None for the main one.

    ``hostname`` is not written: the registry has it, see `Release.deployed_as`.
    """

    image: _Short
    image_digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None
    artifacts: Annotated[list[ReleasedArtifact], Field(max_length=100)]
    specification: _Short | None
    hostname: Annotated[_Short | None, Field(exclude=True)] = None


class Grant(_Model):
    """A door that was opened for the version: its resource, and the actions that it allows."""

    door: _Short
    resource: _Short
    actions: Annotated[list[_Short], Field(max_length=50)]


class Release(_Model):
    """One shared version."""

    schema_version: Annotated[Literal[1], BeforeValidator(check_whole_number)]
    model_package_arn: _Short
    model_package_group: _Short
    version: Annotated[int, Field(ge=1, le=LAST_VERSION)]
    region: _Short
    producer_account: Annotated[str, Field(pattern=r"^\d{12}$")]
    approval_status: _Short
    package_status: _Short
    containers: Annotated[list[ReleasedContainer], Field(max_length=240)]
    content_types: Annotated[list[_Short], Field(max_length=100)]
    response_types: Annotated[list[_Short], Field(max_length=100)]
    instance_types: Annotated[list[_Short], Field(max_length=500)]
    samples: Annotated[list[Sample], Field(max_length=SAMPLES_LIMIT)]
    grants: Annotated[list[Grant], Field(max_length=100)]

    @property
    def deployed_containers(self) -> list[ReleasedContainer]:
        """The containers that CreateModel deploys from the package: those of its main specification, see `deployed_as`."""
        return self.containers_of(None)

    def containers_of(self, specification: str | None) -> list[ReleasedContainer]:
        """The containers of a specification; None is the main one."""
        return [container for container in self.containers if container.specification == specification]

    def deployed_as(self, specification: str | None, version: ModelVersion) -> "Release":
        """The Release as a consumer of one specification deploys it, whose containers and types then are the main ones.

        Args:
            specification: of the consumer; None is the main one.
            version: as the registry has it, with the same containers: their DNS names are its.
        """
        takes = version.takes(specification)
        registered = version.containers_of(specification)
        pairs = zip(self.containers_of(specification), registered, strict=True)
        deployed = [
            released.model_copy(update={"specification": None, "hostname": container.hostname})
            for released, container in pairs
        ]
        types = {name: list(value) for name, value in asdict(takes).items()}
        return self.model_copy(update={"containers": deployed, **types})

    @property
    def contents(self) -> Contents:
        """The images and artifacts of the deployed containers, and the keys that were opened for them."""
        containers = self.deployed_containers
        return Contents(
            tuple(container.image for container in containers),
            tuple(
                artifact_at(artifact.uri, is_prefix=artifact.etag is None)
                for container in containers
                for artifact in container.artifacts
            ),
            tuple(grant.resource for grant in self.grants if grant.door == KEY.name),
        )

    def to_bytes(self) -> bytes:
        """The manifest as it is stored: equal Releases are equal bytes."""
        return (json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n").encode()


def first_fault(error: ValidationError) -> str:
    """The first fault of a manifest or a sample, in a line."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"])).encode("unicode_escape").decode()[:200]
    if first["type"] == "fault" and not place:
        return first["msg"]
    return f"{place or 'the document'}: {first['msg']}"
