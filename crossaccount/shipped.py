"""The files that are shipped beside the code: configs, Prefect's deployments, and what sets accounts up.

They lie at the top of a checkout, and in the package once it is installed from a wheel (see ``setup.py``): the same files. Not here:
whose configs a deployment's run may use (``tasks.reviewed``).
"""

from pathlib import Path

from crossaccount.errors import InputError

FOLDERS = ("configs", "deployments")
_CHECKOUT, _INSTALLED = Path(__file__).resolve().parents[1], Path(__file__).resolve().parent / "_shipped"
IN_CHECKOUT = not _INSTALLED.is_dir()
ROOT = _CHECKOUT if IN_CHECKOUT else _INSTALLED


def files() -> tuple[str, ...]:
    """The shipped files, relative to `ROOT`, in order.

    Raises:
        InputError: when they are not there.
    """
    found = sorted(
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not any(part.startswith((".", "__")) for part in path.relative_to(ROOT).parts)
    )
    if not found:
        raise InputError(
            f"{ROOT} has no folder configs or deployments: this installation is not whole. Install it anew."
        )
    return tuple(found)


def copy_to(folder: Path) -> tuple[str, ...]:
    """Copy the shipped files into a folder, which is made; the names of those that were not there already.

    A file that is there and is the same stays.

    Raises:
        InputError: when a file there is another one, or it cannot be written. Nothing is copied over another file.
    """
    names = files()
    try:
        new = [name for name in names if not (folder / name).exists()]
        others = [name for name in names if name not in new and not _is_same(name, folder)]
        if others:
            raise InputError(
                f"--to {folder}: {', '.join(others)} there differ from those that are shipped, and nothing was copied. Move yours away, or "
                "name another folder."
            )
        for name in new:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    except OSError as error:
        raise InputError(f"--to {folder}: it cannot be written: {error.strerror}.") from None
    return tuple(new)


def _is_same(name: str, folder: Path) -> bool:
    return (folder / name).is_file() and (folder / name).read_bytes() == (ROOT / name).read_bytes()
