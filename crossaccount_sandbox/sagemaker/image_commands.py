"""Which images the sandbox runs as commands of one's own: real model servers behind its endpoints.

A file or a request gives one of these objects, or a list of them, as YAML or JSON::

    - image: 111111111111.dkr.ecr.us-east-1.amazonaws.com/mlflow:*   # or mlflow, or mlflow@sha256:...
      digest: sha256:...            # optional: only the image that has this digest now
      command: [python, serve.py, --model, "{model_dir}", --port, "{port}"]
      environment: {WORKERS: "1"}   # optional; the container's own Environment goes before it
      directory: /srv/server        # optional: where it is started; the model's folder otherwise
      start_seconds: 60             # optional: how long its ping may take; AWS's limit otherwise
      slow_start_seconds: 900       # optional: how many of AWS's seconds its start takes beside the real ones
      slow_download_seconds: 900    # optional: how many of AWS's seconds the download of its model takes beside the real ones

``image`` is the repository's name, its URI, or the whole URI with tag or digest; ``*`` and ``?`` stand for any text and any sign.
The command serves ``GET /ping`` and ``POST /invocations`` on the port in SAGEMAKER_BIND_TO_PORT. It finds the unpacked
artifact in the folder in SM_MODEL_DIR, where AWS has /opt/ml/model. ``{port}`` and ``{model_dir}`` stand for both, in the
command and its environment.

Not here: how it is started and ended (``supervision``). An image without a command is served by ``model_server``.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from crossaccount_sandbox.images import image_digest, parse_image

_SLOW = ("slow_start_seconds", "slow_download_seconds")
_KEYS = ("image", "command", "digest", "environment", "directory", "start_seconds", *_SLOW)


@dataclass(frozen=True)
class ImageCommand:
    """What is run for the containers of some images.

    Args:
        image: a pattern of repository names or image URIs.
        command: the program and its arguments.
        digest: the image's, ``sha256:`` and 64 digits; None for any.
        environment: of the program, as the image's own ENV.
        directory: where it is started; None for the folder of the model.
        start_seconds: how long it may take to answer its ping with 200; None for AWS's limit.
        slow_start_seconds: how many of AWS's seconds its start takes beside the real ones.
        slow_download_seconds: likewise, the download of its model.
    """

    image: str
    command: tuple[str, ...]
    digest: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str | None = None
    start_seconds: float | None = None
    slow_start_seconds: float | None = None
    slow_download_seconds: float | None = None

    def fits(self, image: str) -> bool:
        """Whether it is what a container of this image URI runs."""
        parsed = parse_image(image)
        if parsed is None:
            return False
        uri = image.partition("@")[0]
        uri = uri.rpartition(":")[0] or uri
        digest = image_digest(image)
        names = (image, uri, parsed[2], f"{uri}@{digest}", f"{parsed[2]}@{digest}")
        return any(fnmatchcase(name, self.image) for name in names) and self.digest in (None, digest)


class ImageCommands:
    """The commands of one sandbox. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: list[ImageCommand] = []

    def add(self, commands: list[ImageCommand]) -> None:
        """Register these; of several that fit an image the first counts, and of two calls the later one's."""
        with self._lock:
            self._known[:0] = commands

    def find(self, image: str) -> ImageCommand | None:
        """What is run for an image; None for the sandbox's own server."""
        with self._lock:
            known = list(self._known)
        return next((command for command in known if command.fits(image)), None)

    def state(self) -> list[dict[str, Any]]:
        """All that are registered, in the order in which they are tried, as they may be given; no environment: it may hold secrets."""
        with self._lock:
            return [
                {name: value for name, value in asdict(command).items() if name != "environment"}
                for command in self._known
            ]

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._known.clear()


def read_commands(text: bytes) -> list[ImageCommand]:
    """The commands that a file or a request gives.

    Raises:
        ValueError: for what is none, with its key, its value and what to give.
    """
    return [_command(each, where) for where, each in _entries(_loaded(text))]


def _loaded(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass  # then it is YAML, or nothing
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"neither JSON nor YAML: {' '.join(str(error).split())}") from None


def _entries(given: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, each in enumerate(given if isinstance(given, list) else [given], start=1):
        where = f"entry {number}: " if isinstance(given, list) else ""
        if not isinstance(each, dict):
            raise ValueError(
                f"{where}{each!r} is not an object; give one with image and command, or a list of them"
            )
        yield where, each


def _command(given: dict[str, Any], where: str) -> ImageCommand:
    if unknown := [str(name) for name in given if name not in _KEYS]:
        raise ValueError(f"{where}unknown key {unknown[0]!r}; the keys are {', '.join(_KEYS)}")
    for name in ("image", "command"):
        if not given.get(name):
            raise ValueError(f"{where}{name} is missing; give {_WANTED[name][1]}")
    for name, value in given.items():
        fits, wanted = _WANTED[name]
        if value is not None and not fits(value):
            raise ValueError(f"{where}{name} is {value!r}; give {wanted}")
    stated = {name: value for name, value in given.items() if value is not None}
    return ImageCommand(**{**stated, "command": tuple(given["command"])})


def _texts(value: Any) -> bool:
    return all(isinstance(each, str) and "\0" not in each for each in value)


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 86_400


def _unnamed(value: dict[str, str]) -> bool:
    return any(not name or "=" in name for name in value)


_WANTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "image": (
        lambda value: isinstance(value, str),
        "a repository's name or an image URI, in which * stands for any text",
    ),
    "command": (
        lambda value: isinstance(value, list) and _texts(value) and bool(value[0]),
        'a list of texts, the program first, such as ["python", "serve.py", "{port}"]',
    ),
    "digest": (
        lambda value: isinstance(value, str) and value.startswith("sha256:") and len(value) == 71,
        "sha256: and 64 digits, or leave it out for any image",
    ),
    "environment": (
        lambda value: isinstance(value, dict) and _texts([*value, *value.values()]) and not _unnamed(value),
        "texts by the names of the variables; numbers and truth values in quotes",
    ),
    "directory": (
        lambda value: isinstance(value, str) and Path(value).is_dir(),
        "a folder that exists, or leave it out for the model's",
    ),
    "start_seconds": (
        lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 3600,
        "a number of seconds above 0 and up to 3600, or leave it out for AWS's limit",
    ),
    **dict.fromkeys(
        _SLOW, (_is_time, "a number of AWS's seconds above 0 and up to 86400, or leave it out for none")
    ),
}
