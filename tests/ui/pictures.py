"""Makes the pictures of the documentation anew: ``python -m tests.ui.pictures``.

They are those that the browser's tests take of their run; a page that shows one which no test takes is an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"


def shown() -> set[str]:
    """The names of the pictures that README and the pages of ``docs/`` show."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    return {name for page in pages for name in re.findall(r"images/([\w-]+\.png)", page.read_text())}


def main() -> None:
    """Run the story in a browser and keep the pictures that are shown."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests" / "ui" / "test_browser.py")]
        ended = subprocess.run(command, cwd=ROOT, env={**os.environ, "UI_SCREENSHOTS": folder}, check=False)
        if ended.returncode:
            sys.exit(ended.returncode)
        missing = [name for name in sorted(shown()) if not (Path(folder) / name).is_file()]
        if missing:
            sys.exit(f"No test takes these pictures: {', '.join(missing)}")
        for name in sorted(shown()):
            shutil.copy(Path(folder) / name, IMAGES / name)
            print(f"made: docs/images/{name}")
        for other in IMAGES.glob("*.png"):
            if other.name not in shown():
                other.unlink()
                print(f"removed, nothing shows it: docs/images/{other.name}")


if __name__ == "__main__":
    main()
