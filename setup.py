"""Puts the folders that are shipped beside the code into the wheel; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("configs", "deployments")


class BuildWithShipped(build_py):
    """Also copies the shipped folders into the package; an editable install reads them where they are."""

    def run(self) -> None:
        """Build the packages, and copy the folders beside them."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "crossaccount" / "_shipped"
        shutil.rmtree(
            target, ignore_errors=True
        )  # an earlier build's: a file that was renamed would be shipped twice
        for folder in SHIPPED:
            shutil.copytree(folder, target / folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))


setup(cmdclass={"build_py": BuildWithShipped})
