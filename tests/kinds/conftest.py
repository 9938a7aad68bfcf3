"""Tests of the kinds of endpoints share what they run in: see ``hosted``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
