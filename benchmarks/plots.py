"""Plots as SVG, without a library: figures over a few sizes, with the range of the runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from benchmarks.runs import Spread

WIDTH, HEIGHT = 640, 336
LEFT, RIGHT, TOP, BOTTOM = 76, 20, 60, 56
COLOURS = ("#1b6ca8", "#c8553d", "#4f8a3d")


@dataclass(frozen=True, slots=True)
class Line:
    """A named series with one value for each size of the plot."""

    name: str
    values: Sequence[Spread]


def draw(path: Path, title: str, across: str, up: str, sizes: Sequence[str], lines: Sequence[Line]) -> None:
    """Write the plot. `across` and `up` label the axes with their units; sizes stand at equal distances, the upward axis begins at 0."""
    greatest = max(value.greatest for line in lines for value in line.values)
    step = _step(greatest)
    top = step * math.ceil(greatest / step)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="13" fill="#333" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="600">{escape(title)}</text>',
        *_upward_axis(top, step, up),
        *_sizes(sizes, across),
    ]
    for number, line in enumerate(lines):
        parts += _line(line, COLOURS[number], top)
        if len(lines) > 1:
            parts.append(_legend(number, line.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _step(greatest: float) -> float:
    """A round distance of which at most six fill the axis."""
    rough = max(greatest, 1e-9) / 6
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor >= rough)


def _x(number: int, sizes: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (number + 0.5) / sizes


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _upward_axis(top: float, step: float, label: str) -> list[str]:
    parts = []
    for number in range(round(top / step) + 1):
        value = number * step
        y = _y(value, top)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{"#333" if number == 0 else "#ddd"}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,.{0 if step >= 1 else 1}f}</text>')
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    parts.append(f'<text transform="translate(16 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(label)}</text>')
    return parts


def _sizes(sizes: Sequence[str], label: str) -> list[str]:
    parts = [
        f'<text x="{_x(number, len(sizes)):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{escape(size)}</text>'
        for number, size in enumerate(sizes)
    ]
    parts.append(f'<text x="{LEFT + (WIDTH - LEFT - RIGHT) / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(label)}</text>')
    return parts


def _line(line: Line, colour: str, top: float) -> list[str]:
    places = [(_x(number, len(line.values)), value) for number, value in enumerate(line.values)]
    points = " ".join(f"{x:.1f},{_y(value.median, top):.1f}" for x, value in places)
    parts = [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for x, value in places:
        low, high, y = _y(value.least, top), _y(value.greatest, top), _y(value.median, top)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}" stroke-opacity="0.5" stroke-width="5"/>'
        )
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
        digits = 0 if value.median >= 100 else 1
        parts.append(f'<text x="{x + 8:.1f}" y="{y - 8:.1f}" fill="{colour}">{value.median:,.{digits}f}</text>')
    return parts


def _legend(number: int, name: str) -> str:
    return f'<text x="{WIDTH - RIGHT}" y="{24 + 16 * number}" text-anchor="end" fill="{COLOURS[number]}">{escape(name)}</text>'
