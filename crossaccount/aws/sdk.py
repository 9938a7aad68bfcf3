"""sagemaker-core, imported without the libraries for arrays and tables that it imports for its serializers.

These take more memory and time than all that is used of it. They are imported when something of theirs is first used, as reading an
answer in NPY does. Not here: the use of it (``proof.asking``, ``proof.arrays``).
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from types import ModuleType
from typing import Any

_LATER = ("numpy", "pandas", "scipy", "scipy.sparse")
_LOADING = RLock()


class _Library(ModuleType):
    """A library that is imported when something of it is first used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "DataFrame" and sys.modules.get(self.__name__) is self:
            return _DataFrame  # it is asked for by name, in order to be imported
        return getattr(importlib.import_module(self.__name__), name)


class _KnowsDataFrames(type):
    def __instancecheck__(cls, instance: object) -> bool:
        """Nothing is one where nobody has imported pandas."""
        pandas: Any = sys.modules.get("pandas")
        return pandas is not None and isinstance(instance, pandas.DataFrame)


class _DataFrame(metaclass=_KnowsDataFrames):
    """pandas.DataFrame, for asking whether something is one."""


def load(module: str) -> Any:
    """A module of sagemaker-core, for example ``resources``."""
    with _LOADING, _later():
        return importlib.import_module(f"sagemaker.core.{module}")


def library(name: str) -> Any:
    """One of these libraries itself, for example ``numpy``: not while it is put off in another thread."""
    with _LOADING:
        return importlib.import_module(name)


@contextmanager
def _later() -> Iterator[None]:
    """Within this, the libraries that are not here yet are put off."""
    put_off = {name: _Library(name) for name in _LATER if name not in sys.modules}
    sys.modules.update(put_off)
    try:
        yield
    finally:
        for name, library in put_off.items():
            if sys.modules.get(name) is library:
                del sys.modules[name]
