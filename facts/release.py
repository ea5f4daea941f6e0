"""What may be shown of a value: the threshold rule and the rounding, in one place for page, API and file. Pure."""

from collections.abc import Mapping

BANDS = ((5, 9), (10, 24), (25, 49), (50, 99))


def shown_value(
    value: float | None,
    status: str,
    reason: str,
    *,
    n_units: int | None,
    is_share: bool,
    in_percent: bool,
    is_sensitive: bool,
    is_covered: bool,
    rules: Mapping[str, float],
) -> tuple[float | None, str, str]:
    """Return (shown value, status, reason) of one cell.

    n_units : responding units behind it, None where no unit enters (cluster and region figures).
    is_share : medians and shares, which need more units. in_percent : shown in whole per cent.
    is_sensitive : shares near 0 or 100 are shown as a bound. is_covered : the cluster passes the coverage rule.
    """
    if value is None:
        return None, status, reason
    if n_units is not None:
        least = rules["least_for_shares"] if is_share else rules["least_contributors"]
        if n_units < least:
            return None, "Q", "too few firms"
        if not is_covered:
            return None, "Q", "too few of its firms answered"
    if is_sensitive and value < 5:
        return None, "Q", "less than 5 %"
    if is_sensitive and value > 95:
        return None, "Q", "more than 95 %"
    return (float(round(value)) if in_percent else significant(value)), status, reason


def significant(value: float, digits: int = 3) -> float:
    """Round to significant digits; larger whole numbers keep their size."""
    return float(f"{value:.{digits}g}")


def band(n_units: int | None) -> str:
    """The published size band of a count of units: exact counts are never public."""
    if n_units is None:
        return ""
    if n_units < 5:
        return "< 5"
    for low, high in BANDS:
        if n_units <= high:
            return f"{low}–{high}"
    return "100+"
