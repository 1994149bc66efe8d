"""The cores of the processor that this process may use, and what a batch gives each to do."""

import os

# Rows of a training batch that are worth a core: fewer take hardly less time.
LEAST_ROWS = 8


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
