"""Aligned plain-text tables and readable quantities, for the terminal."""

from collections.abc import Iterable, Sequence

GAP = "  "
SECONDS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def table(rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Lines of a table.

    Args:
        rows: cells, the heading first; all rows equally long.
        align: `<` or `>` for each column.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [line(row, widths, align) for row in rows]


def line(cells: Iterable[str], widths: Sequence[int], align: str) -> str:
    """One line of a table whose columns are `widths` wide."""
    padded = (
        f"{cell:{side}{width}}" for cell, side, width in zip(cells, align, widths, strict=True)
    )
    return GAP.join(padded).rstrip()


def duration(seconds: float) -> str:
    """A time in the unit that suits it, such as `3 minutes`."""
    for unit, length in SECONDS:
        if seconds >= length:
            count = round(seconds / length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds:.0f} s"


def file_size(count: int) -> str:
    """A number of bytes in the unit that suits it, such as `3.5 MB`."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e3:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def bpc(value: float | None) -> str:
    """Bits per character; a dash for an unknown figure."""
    return "-" if value is None else f"{value:.3f}"
