"""Whether counts can have come from probabilities."""

import math

import numpy as np


def assert_fits(counts: np.ndarray, probabilities: list[float]) -> None:
    """Pearson's chi-square test, five standard deviations wide; never what is impossible."""
    expected = np.array(probabilities) * counts.sum()
    assert not counts[expected == 0].any()
    common = expected > 5
    chi_square = ((counts - expected)[common] ** 2 / expected[common]).sum()
    freedom = max(1, common.sum() - 1)
    assert chi_square < freedom + 5 * math.sqrt(2 * freedom)
