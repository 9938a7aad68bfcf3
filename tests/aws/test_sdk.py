"""sagemaker-core works as it does, and brings no library for arrays and tables before one is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

QUESTIONS = {
    "none of them is there": """
from crossaccount.aws import sdk
endpoint = sdk.load("resources").Endpoint
assert callable(endpoint.invoke)
found = {"numpy", "pandas", "scipy"} & set(sys.modules)
assert not found, found
""",
    "an array is read": """
import io
from crossaccount.aws import sdk
read = sdk.load("deserializers").NumpyDeserializer()
assert "numpy" not in sys.modules
import numpy
file = io.BytesIO()
numpy.save(file, numpy.arange(3))
file.seek(0)
assert read.deserialize(file, "application/x-npy").tolist() == [0, 1, 2]
""",
    "the SDK itself brings numpy when it needs it": """
from crossaccount.aws import sdk
made = sdk.load("serializers").NumpySerializer().serialize([1.5])
assert made.startswith(b"\\x93NUMPY")
assert "numpy" in sys.modules
""",
    "a table is known for one": """
from crossaccount.aws import sdk
known = sdk.load("serializers.base").DataFrame
assert not isinstance([], known)
assert "pandas" not in sys.modules
import pandas
assert isinstance(pandas.DataFrame(), known)
assert not isinstance([], known)
""",
    "what was imported before stays": """
import numpy
from crossaccount.aws import sdk
sdk.load("resources")
assert sys.modules["numpy"] is numpy
""",
    "what is imported after is whole": """
from crossaccount.aws import sdk
sdk.load("resources")
import pandas, numpy.linalg, scipy.sparse
assert pandas.DataFrame({"a": [1]}).shape == (1, 1)
assert sdk.library("numpy") is numpy
""",
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_the_sdk_brings_what_it_needs_when_it_needs_it(question: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import sys\n{question}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
