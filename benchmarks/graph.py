"""The two pictures of how time and memory grow, as SVG: two panels each, a line through the medians of what was measured.

Not here: the measuring. A picture has its own paper, so that it is read on a light page and a dark one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 400, 280  # of a panel
_LEFT, _RIGHT, _TOP, _FOOT = 56, 24, 48, 44
_APART = 34  # what two labels need between them
_STYLE = (
    "text{font:12px sans-serif;fill:#24292f}.paper{fill:#fff}.grid{stroke:#d0d7de}"
    ".line{fill:none;stroke:#0969da;stroke-width:2}circle{fill:#0969da}"
    "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.grid{stroke:#30363d}"
    ".line{stroke:#58a6ff}circle{fill:#58a6ff}}"
)


class Picture(NamedTuple):
    """A file's name, its title, and what is counted along the foot."""

    file: str
    title: str
    counted: str


PICTURES: Mapping[str, Picture] = {
    "scale_consumers": Picture(
        "scale-consumers.svg", "A promotion to the consumers of one stage", "consumers"
    ),
    "scale_groups": Picture("scale-groups.svg", "A share of many groups with 25 consumers each", "groups"),
}
_PANELS = (("wall time", "seconds", "s"), ("peak memory of the process", "peak", "MB"))

Points = Sequence[tuple[int, float]]


def draw(folder: Path, measured: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Write the picture of each measurement that is there; the files."""
    written = []
    for name, picture in PICTURES.items():
        if name in measured:
            written.append(folder / picture.file)
            written[-1].write_text(svg(picture, measured[name]["found"]["rounds"]))
    return written


def svg(picture: Picture, rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> str:
    """The picture of these rounds: by how many there were, ``seconds`` and ``peak``."""
    panels = [
        _panel(f"{what}, {unit}", picture.counted, unit, _medians(rounds, key)) for what, key, unit in _PANELS
    ]
    width = _WIDTH * len(panels)
    body = "".join(f'<g transform="translate({_WIDTH * n} 0)">{each}</g>' for n, each in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}" role="img">'
        f"<title>{escape(picture.title)}: wall time and peak memory</title><style>{_STYLE}</style>"
        f'<rect class="paper" width="{width}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{_LEFT}" y="20" style="font-weight:bold">{escape(picture.title)}</text>{body}</svg>\n'
    )


def _medians(rounds: Sequence[Mapping[str, Mapping[str, float]]], key: str) -> Points:
    sizes = sorted({int(size) for one in rounds for size in one})
    return [(size, median(one[str(size)][key] for one in rounds if str(size) in one)) for size in sizes]


def _panel(head: str, counted: str, unit: str, points: Points) -> str:
    """One panel: both axes begin at zero, so that what grows evenly is a straight line."""
    across, up = _ticks(max(size for size, _ in points)), _ticks(max(figure for _, figure in points))
    foot = _HEIGHT - _FOOT

    def x(size: float) -> float:
        return round(_LEFT + size / across[-1] * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(figure: float) -> float:
        return round(foot - figure / up[-1] * (foot - _TOP), 1)

    parts = [f'<text x="{_LEFT}" y="38">{head}</text>']
    for tick in up:
        parts.append(f'<path class="grid" d="M{_LEFT} {y(tick)}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y(tick) + 4}" text-anchor="end">{tick:,g}</text>')
    parts += [f'<text x="{x(tick)}" y="{foot + 16}" text-anchor="middle">{tick:,g}</text>' for tick in across]
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{foot + 34}" text-anchor="end">{counted}</text>')
    line = " ".join(f"{x(size)},{y(figure)}" for size, figure in points)
    parts.append(f'<polyline class="line" points="{line}"/>')
    beside = math.inf
    for size, figure in reversed(points):
        told = f"{size} {counted}: {_short(figure)} {unit}"
        parts.append(f'<circle cx="{x(size)}" cy="{y(figure)}" r="3.5"><title>{told}</title></circle>')
        # Of points that are too close the rightmost has its figure beside it, and none on the axis' own numbers.
        if beside - x(size) >= _APART <= 2 * (x(size) - _LEFT):
            beside = x(size)
            parts.append(
                f'<text x="{beside}" y="{y(figure) - 8}" text-anchor="middle">{_short(figure)}</text>'
            )
    return "".join(parts)


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 10 else f"{figure:.1f}"


def _ticks(most: float) -> list[float]:
    """Round numbers from zero up to the first that is not less than the most: four to nine of them."""
    rough = most / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (5, 2, 1) if unit * factor <= rough)
    return [step * number for number in range(math.ceil(most / step) + 1)]
