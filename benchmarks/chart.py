"""The measurements as a picture: how much is used of what is allowed."""

from __future__ import annotations

from html import escape

from .measurements import Measurement
from .table import shown

HEIGHT, NAMES, FULL = 28, 470, 200
STYLE = """
svg { font: 13px sans-serif; background: #fff; color: #222; fill: currentColor }
.bar { fill: #2a7f62 } .over { fill: #c05020 } .round { fill: #222; opacity: .4 }
.reach { stroke: #222; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) { svg { background: #181818; color: #eee }
  .round { fill: #eee } .reach { stroke: #eee } }
"""


def svg(measured: list[Measurement]) -> str:
    """A bar for each median, a dot for each round; the dashed line is what should be reached."""
    height = HEIGHT * (len(measured) + 1)
    width = NAMES + 2 * FULL + 90
    rows = "".join(bar(each, HEIGHT * at) for at, each in enumerate(measured, start=1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        f"<title>What issuing costs, as a share of what is allowed</title><style>{STYLE}</style>"
        f'<text x="{NAMES + FULL}" y="18" text-anchor="middle">reach</text>{rows}'
        f'<path class="reach" d="M{NAMES + FULL} 24V{height}"/></svg>\n'
    )


def bar(each: Measurement, top: int) -> str:
    long = place(each.share)
    kind = "bar" if each.is_reached else "bar over"
    dots = "".join(
        f'<circle class="round" cx="{NAMES + place(share):.0f}" cy="{top + 10}" r="3"/>'
        for share in map(each.share_of, each.values)
    )
    return (
        f'<text x="8" y="{top + 15}">{escape(each.what)}</text>'
        f'<rect class="{kind}" x="{NAMES}" y="{top + 2}" width="{long:.0f}" height="16"/>{dots}'
        f'<text x="{NAMES + 2 * FULL + 10}" y="{top + 15}">{escape(shown(each))}</text>'
    )


def place(share: float) -> float:
    """Pixels from the left; what is far too much ends at the edge."""
    return FULL * max(0.0, min(share, 2.0))
