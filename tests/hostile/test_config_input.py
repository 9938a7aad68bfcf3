"""A config file is told to be wrong, whatever is in it: in bounded words, in seconds, in bounded memory."""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from crossaccount.config.loading import load_config, parse_config, read_consumer_names
from crossaccount.config.model import Sharing
from crossaccount.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"
SANDBOX = (CONFIGS / "sandbox.yaml").read_bytes()
EXAMPLE = (CONFIGS / "example.yaml").read_bytes()
# Every key, so that every one is spoilt.
WHOLE: dict[str, Any] = yaml.safe_load(SANDBOX)
WHOLE["consumers"]["staging"] |= {
    "external_id": "abc",
    "profile": "p",
    "expires": "2030-01-01T00:00:00Z",
    "stage": 2,
    "run_deployment": "move-endpoint/staging",
    "smoke_mode": "both",
    "latency": {"calls": 3, "p50_ms": 5, "p95_ms": 6.5},
    "smoke": [
        {
            "content_type": "text/csv",
            "body": "1",
            "expect_within": {"value": [1], "tolerance": {"absolute": 1}},
        },
        {
            "content_type": "text/csv",
            "body": "1",
            "expect_json_path": {"path": "a[0].b", "value": 1, "tolerance": {"relative": 0.1}},
        },
        {
            "content_type": "text/csv",
            "body_s3_uri": "s3://bucket/k",
            "expect_schema": {"type": "array", "$defs": {"a": {}}},
        },
        {"content_type": "text/csv", "body": "1", "expect_label": ["a", 1]},
        {"content_type": "text/csv", "body": "1", "expect": [0]},
    ],
    "endpoint": {
        "name": "e",
        "instance_type": "ml.m5.large",
        "instance_count": 2,
        "keep_versions": 1,
        "retain_variant_properties": True,
        "network_isolation": True,
        "kms_key": "arn:aws:kms:us-east-1:222222222222:key/k",
        "vpc": {"security_group_ids": ["sg-0a1b2c3d"], "subnet_ids": ["subnet-0a1b2c3d"]},
        "data_capture": {"s3_uri": "s3://bucket/c/", "percent": 10},
        "deployment": {
            "type": "linear",
            "linear_percent": 25,
            "wait_seconds": 10,
            "termination_wait_seconds": 5,
            "maximum_seconds": 900,
            "alarms": ["a"],
        },
    },
}
WHOLE |= {"versions": [1, 2], "sagemaker_service_principal": False, "preset": "least-privilege"}
ORGANIZATION = {
    **WHOLE,
    "principals": "organization",
    "organization": {
        "id": "o-a1b2c3d4e5",
        "paths": ["o-a1b2c3d4e5/r-ab12/"],
        "role_names": ["team/deployer"],
    },
}
del WHOLE["consumers"]["staging"]["expires"]


def checked(tally: Any, path: Path, content: bytes) -> Any:
    path.write_bytes(content)
    found = tally.judge(lambda: load_config(path), ConfigError)
    if isinstance(found, ConfigError):
        text = str(found)
        assert 0 < len(text) < 100_000, content
        assert len(found.faults) <= 101
        for fault in found.faults:
            assert len(fault.message) < 1500
            assert fault.message.isprintable(), fault
        json.dumps([vars(fault) for fault in found.faults]).encode()
    else:
        assert isinstance(found, Sharing)
        assert Sharing.model_validate_json(found.model_dump_json()) == found
    read_consumer_names(path)
    return found


def test_the_whole_config_is_a_good_one() -> None:
    for document in (WHOLE, ORGANIZATION):
        assert parse_config(json.dumps(document))


def test_config_of_random_bytes(tally: Any, tmp_path: Path) -> None:
    for rng in tally.randoms(100):
        found = checked(tally, tmp_path / "c.yaml", rng.randbytes(rng.randrange(200)))
        assert isinstance(found, ConfigError)


def test_config_with_scrambled_text(tally: Any, tmp_path: Path, scrambled: Callable[..., bytes]) -> None:
    for rng in tally.randoms(40):
        checked(tally, tmp_path / "c.yaml", scrambled(rng, rng.choice((SANDBOX, EXAMPLE))))


def test_config_with_spoilt_values(tally: Any, tmp_path: Path, spoil: Callable[..., Any]) -> None:
    for rng in tally.randoms(50):
        document = spoil(rng, json.loads(json.dumps(rng.choice((WHOLE, ORGANIZATION)))))
        text = as_json(rng, document)
        checked(tally, tmp_path / "c.yaml", text.encode("utf-8", "surrogatepass"))
    assert tally.refused > 20
    assert tally.accepted > 0


def as_json(rng: random.Random, document: Any) -> str:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)  # the fuzzer may write what the product may not read
    try:
        return json.dumps(document, ensure_ascii=rng.random() < 0.5)
    finally:
        sys.set_int_max_str_digits(limit)


def changed(**values: Any) -> bytes:
    """The whole config with values at paths, ``__`` standing for a dot."""
    document = json.loads(json.dumps(WHOLE))
    for path, value in values.items():
        *parents, last = path.split("__")
        node = document
        for name in parents:
            node = node[int(name) if name.isdigit() else name]
        node[last] = value
    return json.dumps(document).encode()


LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
STEP = "consumers__staging"
# Each is a config that was a traceback, or took minutes, or is a known trick.
TRAPS: dict[str, tuple[bytes, str]] = {
    "paths that are no list": (changed(organization={"id": "o-a1b2c3d4e5", "paths": 5}), "organization"),
    "a wait of as many digits as can be read": (
        changed(**{f"{STEP}__endpoint__deployment__wait_seconds": int("9" * 4300)}),
        "out of bounds",
    ),
    "versions that are compared with each other": (changed(versions=list(range(1, 4_000))), "1000 or fewer"),
    "a path of half a million steps": (
        changed(**{f"{STEP}__smoke__1__expect_json_path__path": ".".join("a" * 20_000)}),
        "more than 1024 characters",
    ),
    "thousands of unknown keys": (
        json.dumps({**WHOLE, **{f"k{n}": 1 for n in range(2_000)}}).encode(),
        "further faults",
    ),
    "a body that is null": (changed(**{f"{STEP}__smoke__4__body": None}), "smoke[4].body: is missing"),
    "billion laughs": (LAUGHS.encode(), "aliases"),
    "an alias within itself": (b"a: &a [*a]", ""),
    "an object of Python's": (b"!!python/object/apply:os.system ['true']", ""),
    "a tag of Python's on a value": (
        SANDBOX.replace(b"region: us-east-1", b"region: !!python/name:os.system x"),
        "carries the YAML tag",
    ),
    "deep lists": (b"[" * 100_000, "nested more than 64"),
    "deep mappings": (b"{a: " * 100_000, "nested more than 64"),
    "deep block lists": (b"- " * 100_000, "nested more than 64"),
    "a set of anchors": (b"".join(b"- &a%d x\n" % n for n in range(20_100)), "more than 20000 values"),
    "ten megabytes": (b"a" * 10_000_000, "larger than 1 MB"),
    "one long line": (b"a" * 999_999, "is text"),
    "one long key": (b"a" * 20_000 + b": 1", ""),
    "quotes without an end": (b'"' + b"\\x41" * 10_000, "is not valid YAML"),
    "a merge": (SANDBOX + b"\n<<: {region: eu-west-1}\n", "merges another mapping"),
    "a key twice": (SANDBOX + b"\nregion: us-east-1\n", "is written twice"),
    "half a character": (SANDBOX.replace(b"us-east-1", b'"\\ud800"'), "half of a character pair"),
    "half a character in a key": (
        changed(**{f"{STEP}__smoke__2__expect_schema": {"\ud83d\ude00": 1}}),
        "half of a character pair",
    ),
    "Latin-1": (b"region: \xe9", "is not UTF-8"),
    "UTF-16": ("region: x".encode("utf-16"), "is not UTF-8"),
    "NUL": (b"region: a\0b", "does not allow"),
    "C1": (b"region: \xc2\x9b31m", "does not allow"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_a_refusal(name: str, tmp_path: Path) -> None:
    content, words = TRAPS[name]
    (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "c.yaml")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 100_000


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "proc"])
def test_what_is_no_plain_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    path = {"fifo": fifo, "device": Path("/dev/zero"), "folder": tmp_path, "proc": Path("/proc/self/mem")}[
        kind
    ]
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert {"folder": "a directory", "proc": "cannot be read"}.get(kind, "a pipe or a device") in str(
        caught.value
    )


BOMBS = ("billion laughs", "deep lists", "ten megabytes", "thousands of unknown keys")


def within(megabytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


_LOAD = """
import sys
from crossaccount.config.loading import load_config
from crossaccount.errors import ConfigError
for path in sys.argv[1:]:
    try:
        load_config(path)
    except ConfigError as error:
        print(len(str(error)))
"""


def test_bombs_stay_within_512_megabytes(tmp_path: Path) -> None:
    paths = []
    for number, name in enumerate(BOMBS):
        content = TRAPS[name][0]
        paths.append(tmp_path / f"{number}.yaml")
        paths[-1].write_bytes(content)
    paths.append(Path("/dev/zero"))
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=CONFIGS.parent,
        preexec_fn=lambda: within(512),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(paths)
