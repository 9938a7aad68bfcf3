"""The libraries for arrays and tables, which sagemaker-core brings, are there when an answer needs them and not before."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = "{'sagemaker', 'numpy', 'pandas', 'scipy', 'pyarrow'} & set(sys.modules)"
STORIES = {
    "the flows and all that they ask with": f"""
import flows.consumer, flows.promotion, flows.groups, flows.audit, crossaccount.proof.asking
assert not {HEAVY}, {HEAVY}
""",
    "an answer in JSON": f"""
from crossaccount.proof.reading import read_answer
assert read_answer(b'[1, 2]', "application/json", None) == [1, 2]
assert not {HEAVY}, {HEAVY}
""",
    "an answer in NPY": """
from crossaccount.proof.reading import read_answer
head = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }"
raw = b"\\x93NUMPY\\x01\\x00" + len(head).to_bytes(2, "little") + head + (7).to_bytes(8, "little")
found = read_answer(raw, "application/x-npy", None)
assert found.value == [7], found
assert "numpy" in sys.modules
""",
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_library_is_loaded_when_an_answer_needs_it(story: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import sys\n{story}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
