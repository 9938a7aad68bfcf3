"""What ``init`` changes in a config that is there: what is new is put in, and no other line is touched."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
import yaml

from crossaccount.setup import merging

CONFIGS = Path(__file__).parents[2] / "configs"
THIRD = {
    "account": "555555555555",
    "role": "arn:aws:iam::555555555555:role/crossaccount-deployer",
    "external_id": "third",
    "execution_role": "arn:aws:iam::555555555555:role/crossaccount-execution",
    "profile": "third",
    "endpoint": {"name": "third", "instance_type": "ml.m5.large"},
}


def _merged(text: str, better: tuple[str, ...] = (), **changed: Any) -> tuple[list[str], list[str], str]:
    """The lines that went, those that came, and the text; ``changed`` are keys of the producer as they are now known."""
    data = yaml.safe_load(text)
    producer = {**data["producer"], **changed}
    drafted = {**data, "producer": producer, "consumers": {"third": THIRD}}
    new, _ = merging.merged(text, yaml.safe_dump(drafted), "config.yaml", better)
    lines = list(difflib.ndiff(text.splitlines(), new.splitlines()))
    return [each for each in lines if each[0] == "-"], [each for each in lines if each[0] == "+"], new


@pytest.mark.parametrize("name", ["sandbox", "sandbox-workers", "minimal", "example"])
def test_a_further_consumer_touches_no_line_of_a_file_as_it_stands(name: str) -> None:
    gone, come, new = _merged((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    assert (gone, len(come)) == ([], 9)
    assert yaml.safe_load(new)["consumers"]["third"] == THIRD


@pytest.mark.parametrize(
    ("changed", "better", "lines"),
    [
        ({"account": "999999999999"}, (), 1),
        ({"profile": "another"}, (), 1),
        ({"role": "arn:aws:iam::111111111111:role/other-producer"}, (), 0),
        ({"role": "arn:aws:iam::111111111111:role/other-producer"}, merging.TRUST, 1),
        ({"external_id": "another"}, merging.TRUST, 1),
        ({"releases": "s3://another/releases/"}, merging.TRUST, 0),
        ({"releases": "s3://another/releases/"}, ("releases",), 1),
    ],
)
def test_what_is_known_better_replaces_its_own_line_alone(
    changed: dict[str, str], better: tuple[str, ...], lines: int
) -> None:
    text = (CONFIGS / "minimal.yaml").read_text(encoding="utf-8")
    gone, _, new = _merged(text, better, **changed)
    (key, value), *_ = changed.items()
    assert len(gone) == lines
    assert all(f" {key}: " in each and "# " in each for each in gone)
    assert (yaml.safe_load(new)["producer"][key] == value) is bool(lines)


def test_an_account_without_quotes_is_the_same_account() -> None:
    text = (CONFIGS / "minimal.yaml").read_text(encoding="utf-8").replace('"111111111111"', "111111111111")
    gone, _, _ = _merged(text, account="111111111111")
    assert gone == []


def test_what_is_to_be_filled_in_is_filled_in() -> None:
    text = (CONFIGS / "minimal.yaml").read_text(encoding="utf-8")
    text = text.replace("s3://producer-models-111111111111/releases/", '"FILL-IN: s3://BUCKET/releases/"')
    assert merging.to_fill_in(merging.read_existing(text, "config.yaml")) == ["producer.releases"]
    _, _, new = _merged(text, releases="s3://models/releases/")
    assert yaml.safe_load(new)["producer"]["releases"] == "s3://models/releases/"
