"""Line plots as SVG that takes its text colour from the page, so it suits light and dark."""

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (4.6, 3.0)  # inches; what is legible at half the width of a wide window and on a phone
# Stands for the page's own text colour until the SVG is written.
INK = "#010203"
COLOURS = ("#e0701a", "#2f86e0", "#3f9e5f")


@dataclass(frozen=True)
class Line:
    """A curve: its name and its points; a missing value is NaN."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def line_plot(
    title: str,
    x_label: str,
    lines: Sequence[Line],
    levels: dict[str, float] | None = None,
    log: bool = False,
) -> str:
    """Draw curves, and named levels as dashed lines across.

    Args:
        title: what is drawn, with its unit; also what a screen reader says.
        x_label: the unit of x.
        lines: the curves; their names make a legend if there are several.
        levels: heights by name.
        log: whether y is logarithmic.

    Returns:
        An `<svg>` element without a fixed size.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "font.size": 9.5,
        "font.sans-serif": ["DejaVu Sans"],
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor"), INK),
        **dict.fromkeys(("xtick.color", "ytick.color"), INK),
    }
    # The figures and names may be anybody's, and a page is no place to warn.
    with mpl.rc_context(style), warnings.catch_warnings(action="ignore"):
        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes, lines, levels or {}, log)
        axes.set_title(title, fontsize=10.5, loc="left")
        axes.set_xlabel(x_label)
        written = io.BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    return embedded(written.getvalue().decode("utf-8"), title)


def draw(axes: "Axes", lines: Sequence[Line], levels: dict[str, float], log: bool) -> None:
    """Draw the curves and levels into axes."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    for line, colour in zip(lines, COLOURS, strict=False):
        marker = "o" if len(line.x) < 40 else None
        axes.plot(line.x, line.y, color=colour, label=line.name, marker=marker, markersize=3.5)
    for name, height in levels.items():
        axes.axhline(height, color=INK, alpha=0.55, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.annotate(
            name,
            (0, height),
            parse_math=False,
            xycoords=("axes fraction", "data"),
            xytext=(3, 2),
            textcoords="offset points",
            fontsize=8.5,
        )
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}" if y >= 10 else f"{y:g}")
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.8)
    if len(lines) > 1:
        # Curves fall from the left, and levels lie above or below: here it is emptiest.
        axes.legend(frameon=False, fontsize=8.5, loc="center right", bbox_to_anchor=(1, 0.62))


def embedded(svg: str, title: str) -> str:
    """The `<svg>` element of a file, for a page."""
    from markupsafe import escape

    element = svg[svg.index("<svg") :].replace(INK, "currentColor")
    element = re.sub(r' (width|height)="[\d.]+pt"', "", element, count=2)
    return element.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
