"""A small picture of latencies for an artifact: a column for each call, and the limits as lines.

It is an SVG in a data address, so that nothing has to be fetched. Not here: the measuring (``proof.asking``).
"""

import base64
from collections.abc import Sequence

_WIDTH, _HEIGHT, _FOOT = 480, 120, 18
_COLUMNS = 120  # the picture stays small: of more calls every n-th is drawn


def latencies(measured_ms: Sequence[float], limits: dict[str, float | None], of: str = "calls") -> str:
    """The picture as a Markdown image.

    Args:
        measured_ms: of each call in turn, in milliseconds; at least one.
        limits: by name, in milliseconds; None for a limit that is not set.
        of: what each column stands for, in the plural.
    """
    drawn = measured_ms[:: -(-len(measured_ms) // _COLUMNS)]
    lines = {name: limit for name, limit in limits.items() if limit is not None}
    top = max([*drawn, *lines.values()]) * 1.1 or 1.0
    scale, width = (_HEIGHT - _FOOT) / top, _WIDTH / len(drawn)
    columns = "".join(
        f'<rect x="{place * width:.1f}" y="{_HEIGHT - _FOOT - latency * scale:.1f}" width="{max(width - 1, 1):.1f}" height="{latency * scale:.1f}"/>'
        for place, latency in enumerate(drawn)
    )
    marks = "".join(
        f'<path d="M0 {at:.1f}H{_WIDTH}" stroke="#d33"/><text x="{_WIDTH}" y="{at - 2:.1f}" text-anchor="end" fill="#d33">{name} {limit:g} ms</text>'
        for name, limit in lines.items()
        for at in (_HEIGHT - _FOOT - limit * scale,)
    )
    foot = f"{len(measured_ms)} {of}, {min(measured_ms):.1f} to {max(measured_ms):.1f} ms"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="11">'
        f'<g fill="#2457c5">{columns}</g>{marks}<text y="{_HEIGHT - 4}" fill="#666">{foot}</text></svg>'
    )
    return f"![{foot}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
