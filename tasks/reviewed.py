"""The reviewed configs: the files of one folder, which the runs of deployments are held to.

The environment variable CROSSACCOUNT_CONFIGS names the folder, by default ``configs/`` of a checkout; CROSSACCOUNT_CONFIG the file of
it that forms open on. Not here: reading a config (``crossaccount.config``).
"""

import os
from pathlib import Path

from crossaccount.config.loading import read_consumer_names
from crossaccount.errors import InputError
from crossaccount.text import quote

FOLDER = Path(os.environ.get("CROSSACCOUNT_CONFIGS") or Path(__file__).resolve().parents[1] / "configs")
_EXPLANATIONS = ("example.yaml", "minimal.yaml")  # explain keys and are nobody's


def configs() -> dict[str, tuple[str, ...]]:
    """The reviewed configs by file name, and the consumers that each names: none for a file that is no config."""
    return {name: read_consumer_names(FOLDER / name) for name in _names()}


def _names() -> list[str]:
    return sorted(path.name for path in FOLDER.glob("*.yaml") if path.name not in _EXPLANATIONS)


def require_folder() -> None:
    """See that the folder exists and has a config: without one no flow can be deployed, and no deployment can run.

    Raises:
        InputError: when it does not.
    """
    if not FOLDER.is_dir():
        raise InputError(
            f"The folder of reviewed configs, {FOLDER}, does not exist. Set CROSSACCOUNT_CONFIGS to the folder with yours, both where "
            "you deploy and where the workers run, and deploy again."
        )
    if not _names():
        raise InputError(
            f"The folder of reviewed configs, {FOLDER}, has no config (*.yaml; {' and '.join(_EXPLANATIONS)} are none): every form would be without a choice. "
            "Put yours there, or set CROSSACCOUNT_CONFIGS to the folder that has them, and deploy again."
        )


def opened() -> dict[str, str]:
    """The config that the forms open on and that schedules and events use, as a step of ``prefect deploy`` gives it.

    It is the folder's only one, or the one that the environment variable CROSSACCOUNT_CONFIG names.

    Returns:
        Its file name, as ``config``.

    Raises:
        SystemExit: with one line, where Prefect shows an error's traceback: when it is not known which one, or there is none.
    """
    try:
        return {"config": _opened()}
    except InputError as error:
        raise SystemExit(f"error: {error}") from None


def _opened() -> str:
    require_folder()
    names, named = _names(), os.environ.get("CROSSACCOUNT_CONFIG", "")
    shown = ", ".join(names) or "none"
    if named and named not in names:
        raise InputError(
            f"CROSSACCOUNT_CONFIG: {quote(named)} is not a reviewed config. {FOLDER} has: {shown}. Name one of these."
        )
    if not named and len(names) != 1:
        way_out = (
            "Put yours there." if not names else "Set CROSSACCOUNT_CONFIG to the one that the forms open on."
        )
        raise InputError(f"{FOLDER} has {len(names)} reviewed configs: {shown}. {way_out}")
    return named or names[0]


def locate(config: str, deployed: bool) -> Path:
    """The file of a config.

    A run of a deployment may name a file of the reviewed folder, and no other is opened for it. A person on the command line
    may name any file: their own credentials bound what it can change.

    Args:
        config: the name or path that the run has as its parameter.
        deployed: whether it is a run of a deployment.

    Raises:
        InputError: for a deployment's run that names another file, or that has no such folder.
    """
    if not deployed:
        return Path(config)
    require_folder()
    names = _names()
    if config not in names:
        raise InputError(
            f"config: {quote(config)} is not a reviewed config. {FOLDER} has: {', '.join(names) or 'none'}. Choose one of these, or have "
            "yours reviewed, put it there and deploy again."
        )
    return FOLDER / config
