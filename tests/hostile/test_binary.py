"""Binary answers of strangers: any bytes are read, or unreadable for one short reason, in bounded time."""

from __future__ import annotations

import io
import json
import random
import struct
from typing import Any

import numpy
import pytest

from crossaccount.config.smoke import Smoke
from crossaccount.proof.expectations import expectation
from crossaccount.proof.reading import read_answer, shown

TRITON = "application/vnd.sagemaker-triton.binary+json"
EXPECTED = (
    {"expect": [[0.5, 0.25]]},
    {"expect_within": {"value": [[0.5, 0.25]], "tolerance": {"absolute": 0.1, "share": 0.5}}},
    {"expect_json_path": {"path": "outputs[0].data", "value": [1]}},
    {"expect_label": {"path": "[*][*]", "labels": [1, "a"]}},
    {"expect_label": ["a"]},
    {"expect_array": {"shape": [None, 2], "dtype": "float32", "minimum": 0}},
    {"expect_array": {"path": "outputs[*]", "maximum": 1}},
    {"expect_schema": {"type": "array", "uniqueItems": True}},
)


def arrays(rng: random.Random) -> tuple[bytes, str]:
    out = io.BytesIO()
    dtype = rng.choice(("float32", ">i8", "bool", "U3", "S3", "float16"))
    numpy.save(out, numpy.array([[0.5, 0.25]]).astype(dtype))
    return out.getvalue(), "application/x-npy"


def tensors(rng: random.Random) -> tuple[bytes, str]:
    outputs = [
        {"name": "p", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
        {"name": "t", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}},
    ]
    head = json.dumps({"outputs": outputs}).encode()
    raw = head + struct.pack("<2f", 0.5, 0.25) + b"\x01\0\0\0a"
    size = rng.choice((len(head), len(head), rng.randrange(400), 10**8))
    return raw, rng.choice((TRITON, f"{TRITON};json-header-size={size}"))


def records(rng: random.Random) -> tuple[bytes, str]:
    record = b"\x12\x15\n\x05score\x12\x0c\x12\n\n\x08" + struct.pack("<2f", 0.5, 0.25)
    frame = struct.pack("<II", 0xCED7230A, len(record)) + record + bytes(-len(record) % 4)
    return frame * rng.randrange(1, 4), "application/x-recordio-protobuf"


def lines(rng: random.Random) -> tuple[bytes, str]:
    return b'{"label": "a"}\n[1, 2.5, NaN]\n' * rng.randrange(1, 4), "application/x-ndjson"


@pytest.mark.parametrize("make", [arrays, tensors, records, lines], ids=lambda make: make.__name__)
def test_binary_answers_of_changed_bytes(make: Any, tally: Any, scrambled: Any) -> None:
    for rng in tally.randoms(150):
        raw, media = make(rng)
        changed = scrambled(rng, raw) if rng.random() < 0.9 else raw
        found = tally.judge(lambda at=changed, media=media: read_answer(at, media), ValueError)
        if isinstance(found, ValueError):
            assert len(str(found)) < 1000
            continue
        json.dumps(shown(found), allow_nan=False).encode()
        smoke = Smoke.model_validate({"content_type": "a/b", "body": "1", **rng.choice(EXPECTED)})
        assert isinstance(tally.judge(lambda at=found, smoke=smoke: expectation(smoke)[1](at)), str)
