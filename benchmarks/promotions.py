"""Promotions of many consumers in one stage: beside one consumer's, beside an earlier build's, and as they grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.alone import fresh
from benchmarks.stage import Stage, consumers, running, timed
from benchmarks.start import earlier

_VERSION = 1
_MANY = 24
_SIZES = (1, 8, 24, 100, 200)
_COMPARED = (1, 24, 200)
_ENDPOINTS = ("--endpoint-seconds", "5")


def promotion(pairs: int, many: int = _MANY) -> dict[str, Any]:
    """Promote to twenty-four consumers of one stage and to one, in turn, each from nothing, in this process.

    Returns:
        ``pairs``: the seconds of ``one`` and ``many``, and the calls of each; ``consumers``: how many ``many`` are.
    """
    with running(*_ENDPOINTS, "--consumers", str(many)) as stage:
        from flows.promotion import promote_model

        names = consumers(many)
        configs = _configs(stage, {"one": 1, "many": many})
        found: list[dict[str, float]] = []
        for number in range(pairs + 1):
            pair: dict[str, float] = {}
            for name, config in configs.items():
                if name == "one" or number:  # one is enough to warm everything
                    stage.forget()
                    with stage.calls() as calls:
                        pair[name] = timed(lambda config=config: promote_model(config, _VERSION))  # type: ignore[misc]
                    pair[f"{name}_calls"] = len(calls)
                    stage.clear(names)
            found.append(pair)
    return {"pairs": found[1:], "consumers": many}


def promotion_processor(pairs: int, many: int = _MANY) -> dict[str, Any]:
    """The same in fresh processes, of this build and of an earlier one in turn, with one sandbox and one server for all.

    Returns:
        ``pairs``: for ``now`` and ``before`` what `fresh` says of ``one`` and ``many``; ``consumers``: how many ``many`` are.
    """
    builds: dict[str, dict[str, Any]] = {"before": earlier(), "now": {}}
    with running(*_ENDPOINTS, "--consumers", str(many)) as stage:
        configs = _configs(stage, {"one": 1, "many": many})
        for build in builds.values():
            _promoted(stage, configs["one"], many, **build)  # to warm everything
        found = [
            {
                name: {size: _promoted(stage, config, many, **build) for size, config in configs.items()}
                for name, build in builds.items()
            }
            for _ in range(pairs)
        ]
    return {"pairs": found, "consumers": many}


def scale_consumers(
    pairs: int, sizes: Sequence[int] = _SIZES, compared: Sequence[int] = _COMPARED
) -> dict[str, Any]:
    """Promotions to more and more consumers, each in a fresh process and from nothing.

    Args:
        pairs: rounds.
        sizes: how many consumers; the largest last.
        compared: those of every round; the others are measured once.

    Returns:
        ``rounds``: by the number of consumers what `fresh` says.
    """
    with running(*_ENDPOINTS, "--consumers", str(sizes[-1])) as stage:
        configs = _configs(stage, {str(size): size for size in sizes})
        _promoted(stage, configs[str(sizes[0])], sizes[0])  # to warm everything
        rounds = [
            {
                size: _promoted(stage, config, int(size))
                for size, config in configs.items()
                if not number or int(size) in compared
            }
            for number in range(pairs)
        ]
    return {"rounds": rounds}


def _configs(stage: Stage, sizes: dict[str, int]) -> dict[str, str]:
    return {name: stage.config(f"promote-{name}", consumers(size)) for name, size in sizes.items()}


def _promoted(stage: Stage, config: str, many: int, **build: Any) -> dict[str, float]:
    stage.forget()
    found = fresh("promote", config, **build)
    stage.clear(consumers(many))
    return found
