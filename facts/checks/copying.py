"""Copied forward: the tests X02 and X03, over arrays."""

from dataclasses import dataclass

import numpy as np

MONEY_ITEMS = ("UC01", "UD01", "UB09", "UD04", "UD06", "UE01")
LEAST = 3
TOLERANCE = 0.0005


@dataclass(frozen=True)
class Copies:
    """unchanged, one_factor : (n,) checks X03 and X02. growth : (n_items, n), NaN where not compared.
    factor : (n,) the growth that the items of X02 share, else NaN. same : (n_items, n) items that share it, or that
    are unchanged where X03 speaks."""

    unchanged: np.ndarray
    one_factor: np.ndarray
    growth: np.ndarray
    factor: np.ndarray
    same: np.ndarray

    @property
    def either(self) -> np.ndarray:
        return self.unchanged | self.one_factor


def find_copies(
    now: np.ndarray,
    before: np.ndarray,
    *,
    least: int = LEAST,
    unchanged_least: int = LEAST,
    tolerance: float = TOLERANCE,
) -> Copies:
    """Look for money figures repeated by one factor, or to the last digit. now, before : (n_items, n).

    The tolerance shrinks with the ratio where figures fell: a return filed in thousands by mistake falls by 99.9 % in
    every item, which is a slip of the scale (X08) and not one rate of growth.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        compared = (now > 0) & (before > 0)
        growth = np.where(compared, now / before - 1, np.nan)
    identical = compared & (now == before)
    unchanged = identical.sum(axis=0) >= unchanged_least
    table = np.sort(growth, axis=0)  # NaN sorts last
    n_items, n = growth.shape
    factor, widest = np.full(n, np.nan), np.full(n, np.inf)
    for start in range(n_items - least + 1):
        width = table[start + least - 1] - table[start]
        with np.errstate(invalid="ignore"):
            closer = width < widest
        middle = (table[start + least - 1] + table[start]) / 2
        factor, widest = np.where(closer, middle, factor), np.where(closer, width, widest)
    allowed = tolerance * np.minimum(1.0, 1.0 + factor)
    with np.errstate(invalid="ignore"):
        found = (widest <= 2 * allowed) & ~unchanged
        factor = np.where(found, factor, np.nan)
        alike = np.abs(growth - factor) <= allowed + 1e-12
    return Copies(unchanged, found, growth, factor, np.where(unchanged, identical, alike))


def copied_forward(now: dict[str, np.ndarray], before: dict[str, np.ndarray]) -> np.ndarray:
    """Say which units repeat last year's money figures by one factor, or to the last digit (checks X02 and X03).

    Arrays (n_units,) by item, NaN where missing or unmatched. True where at least three of the six money items share
    the same growth within ±0.0005.
    """
    stack = [np.vstack([year[item] for item in MONEY_ITEMS]) for year in (now, before)]
    return find_copies(stack[0], stack[1]).either
