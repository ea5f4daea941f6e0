"""From figures to points: D1–D8, caps, grade and hard stops (framework §10.1), each with a sentence."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .figures import Figures
from .rules import Rules

DIGITS = 6  # beyond this, sums of floating-point numbers say nothing


@dataclass(frozen=True)
class Part:
    """One part of the score: points possible, factor in [0, 1], points given, what stands behind, in a sentence.

    behind : shares in [0, 1], to four digits, and whole counts, by name.
    """

    code: str
    name: str
    points: float
    factor: float
    given: float
    behind: dict[str, float | int | None]
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Stop:
    """A hard stop, or a cap on the score. `category` is the public word of the reason."""

    code: str
    category: str
    sentence: str
    is_cap: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def counted(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def percent(share: float | None) -> str:
    """A share in whole per cent; one that is not whole never looks like a limit it has not reached."""
    if share is None:
        return "an unknown share"
    return f"{int(100 * share + 1e-9)}\u202f%"


def slope(value: float, part: Mapping[str, Any]) -> float:
    """0 at `none_at`, 1 at `full_at`, straight in between, cut to 0–1."""
    return min(1.0, max(0.0, (value - part["none_at"]) / (part["full_at"] - part["none_at"])))


def weighed(figures: Figures, rules: Rules) -> dict[str, tuple[float, float]]:
    """Points possible and factor in [0, 1] of D1 to D8, by code. A cluster without accepted returns has no points."""
    points = {code: float(part["points"]) for code, part in rules.parts.items()}
    if figures.electricity is None and figures.exports is None:
        spare, heirs = points["D8"], rules.parts["D8"]["spread_over"]
        total = sum(points[code] for code in heirs)
        points |= {code: points[code] + spare * points[code] / total for code in heirs} | {"D8": 0.0}
    return {
        code: (points[code], _FACTORS[code](figures, part) if figures.accepted else 0.0)
        for code, part in rules.parts.items()
    }


def parts_of(figures: Figures, rules: Rules) -> list[Part]:
    """D1 to D8, with their sentences."""
    parts = []
    for code, (points, factor) in weighed(figures, rules).items():
        part = rules.parts[code]
        behind, sentence = _outside_words(figures, rules) if code == "D8" else _WORDS[code](figures, part)
        behind = {name: round(v, 4) if isinstance(v, float) else v for name, v in behind.items()}
        given = round(points * factor, DIGITS)
        parts.append(Part(code, part["name"], round(points, DIGITS), factor, given, behind, sentence))
    return parts


def score_of(figures: Figures, rules: Rules) -> tuple[float, list[Part], list[Stop]]:
    """The score after caps, its parts, and the caps that hold."""
    return points_of(figures, rules), parts_of(figures, rules), caps_of(figures, rules)


def points_of(figures: Figures, rules: Rules) -> float:
    """The score after caps."""
    total = sum(round(points * factor, DIGITS) for points, factor in weighed(figures, rules).values())
    held_at = [cap["at"] for cap in _held_by(figures, rules)]
    return round(min([total, *held_at]), DIGITS)


def grade_of(score: float, rules: Rules) -> str:
    return next(grade for grade, least in rules.content["grades"].items() if score >= least)


# --- The eight parts: what each is worth, 0 to 1 --------------------------------------------


def _coverage(f: Figures, part) -> float:
    return slope(0.5 * f.response + 0.5 * f.employment, part)


def _completeness(f: Figures, part) -> float:
    return slope(f.answered or 0.0, part)


def _edits(f: Figures, part) -> float:
    return slope(_warned_share(f), part)


def _evidence(f: Figures, part) -> float:
    by_return, by_persons = evidence_of(f, part)
    return slope(0.5 * by_return + 0.5 * by_persons, part)


def _independence(f: Figures, part) -> float:
    return part["first_round"] / part["points"] if f.copied is None else slope(f.copied, part)


def _digits(f: Figures, part) -> float:
    return 0.0 if f.round_figures is None else slope(f.round_figures, part)


def _plausibility(f: Figures, part) -> float:
    return 1.0 if f.doubtful is None or not f.compared else slope(f.doubtful, part)


def _outside(f: Figures, part) -> float:
    known = [ratio for ratio in (f.electricity, f.exports) if ratio is not None]
    return slope(sum(map(agreement, known)) / len(known), part) if known else 0.0


_FACTORS = {
    "D1": _coverage,
    "D2": _completeness,
    "D3": _edits,
    "D4": _evidence,
    "D5": _independence,
    "D6": _digits,
    "D7": _plausibility,
    "D8": _outside,
}


def _warned_share(f: Figures) -> float:
    return f.warned / f.accepted if f.accepted else 0.0


def evidence_of(f: Figures, part) -> tuple[float, float]:
    """Mean worth of the sources, over returns and over persons engaged (D4)."""
    n = sum(count for _, count, _ in f.sources)
    worth = {int(kind): value for kind, value in part["worth"].items()}
    by_return = sum(worth.get(kind, 0.0) * count for kind, count, _ in f.sources) / n if n else 0.0
    by_persons = sum(worth.get(kind, 0.0) * share for kind, _, share in f.sources)
    return by_return, by_persons


def agreement(ratio: float) -> float:
    """min(q, 1/q): 1 where two totals agree."""
    return 0.0 if ratio <= 0 else min(ratio, 1 / ratio)


# --- The eight parts: what stands behind, in a sentence -------------------------------------

Words = tuple[dict[str, Any], str]


def _coverage_words(f: Figures, part) -> Words:
    behind = {"response": f.response, "employment": f.employment, "accepted": f.accepted, "in_scope": f.in_scope}
    return behind, (
        f"{f.accepted} of {f.in_scope} units in scope have an accepted return ({percent(f.response)}); they hold "
        f"{percent(f.employment)} of the employment. Full points from {percent(part['full_at'])} of both."
    )


def _completeness_words(f: Figures, part) -> Words:
    behind = {"answered": f.answered, "with_gaps": f.with_gaps, "accepted": f.accepted}
    return behind, (
        f"{percent(f.answered)} of the core questions asked have an answer; {f.with_gaps} of {f.accepted} accepted "
        "returns lack one. “Don't know” and “refused” are no answers."
    )


def _edits_words(f: Figures, part) -> Words:
    share = _warned_share(f)
    behind = {"share": share, "warned": f.warned, "accepted": f.accepted}
    return behind, (
        f"{f.warned} of {f.accepted} accepted returns carry a warning that is open or whose answer was rejected "
        f"({percent(share)}). No points from {percent(part['none_at'])}."
    )


def _evidence_words(f: Figures, part) -> Words:
    by_return, by_persons = evidence_of(f, part)
    n = {kind: count for kind, count, _ in f.sources}
    behind = {
        "by_return": by_return,
        "by_persons": by_persons,
        "audited": n.get(1, 0),
        "accounts": n.get(2, 0),
        "registers": n.get(3, 0),
        "memory": n.get(4, 0),
    }
    return behind, (
        f"Returns from audited accounts: {n.get(1, 0)}; from unaudited ones: {n.get(2, 0)}; from registers: "
        f"{n.get(3, 0)}; from memory: {n.get(4, 0)}. Half of the points count returns, half persons engaged."
    )


def _independence_words(f: Figures, part) -> Words:
    behind = {"copied": f.copied, "matched": f.matched}
    if f.copied is None:
        return behind, "No return of the round before can be compared: points of a first round."
    return behind, (
        f"{percent(f.copied)} of {counted(f.matched, 'return')} with a predecessor repeat its figures, unchanged or "
        f"raised by one factor. No points from {percent(part['none_at'])}."
    )


def _digits_words(f: Figures, part) -> Words:
    behind = {"round_figures": f.round_figures}
    if f.round_figures is None:
        return behind, "No money figure is there to look at."
    return behind, (
        f"{percent(f.round_figures)} of the money figures have at most two digits that count. Full points up to "
        f"{percent(part['full_at'])}, none from {percent(part['none_at'])}."
    )


def _plausibility_words(f: Figures, part) -> Words:
    behind = {"doubtful": f.doubtful, "compared": f.compared}
    if f.doubtful is None or not f.compared:
        return behind, "Too few returns of one size to compare with each other; nothing speaks against them."
    return behind, (
        "Sales beside the people and the electricity behind them, compared with peers of the same size. A signal, not "
        "proof: it names no firm."
    )


def _outside_words(f: Figures, rules: Rules) -> Words:
    behind = {"electricity": f.electricity, "exports": f.exports}
    if f.electricity is None and f.exports is None:
        heirs = " and ".join(rules.parts["D8"]["spread_over"])
        return behind, f"No outside total is known; these points stand with {heirs}."
    words = [
        f"{cap['name'].lower()} declared by the firms: {ratio_words(f, rules, cap['code'])} {cap['against']}"
        for cap in rules.content["cap"]
        if ratio_of(f, cap["figure"]) is not None
    ]
    sentence = "; ".join(words) + "."
    return behind, sentence[:1].upper() + sentence[1:]


_WORDS = {
    "D1": _coverage_words,
    "D2": _completeness_words,
    "D3": _edits_words,
    "D4": _evidence_words,
    "D5": _independence_words,
    "D6": _digits_words,
    "D7": _plausibility_words,
}


# --- Caps and stops -------------------------------------------------------------------------


def _held_by(figures: Figures, rules: Rules) -> list[Mapping[str, Any]]:
    """The caps whose outside total lies beyond its outer limits."""
    held = []
    for cap in rules.content["cap"]:
        ratio = ratio_of(figures, cap["figure"])
        if ratio is not None:
            _, low, high, _ = limits_of(figures, rules, cap["code"])
            if not low <= ratio <= high:
                held.append(cap)
    return held


def caps_of(figures: Figures, rules: Rules) -> list[Stop]:
    """The outside totals beyond their outer limits."""
    caps = []
    for cap in _held_by(figures, rules):
        _, low, high, _ = limits_of(figures, rules, cap["code"])
        sentence = (
            f"{cap['name']} declared by the firms: {ratio_words(figures, rules, cap['code'])} {cap['against']}. "
            f"Outside {percent(low)} to {percent(high)} the score is at most {cap['at']}."
        )
        caps.append(Stop(cap["code"], "reliability", sentence, is_cap=True))
    return caps


def ratio_of(figures: Figures, name: str) -> float | None:
    return {"electricity_ratio": figures.electricity, "export_ratio": figures.exports}[name]


def limits_of(figures: Figures, rules: Rules, check: str) -> tuple[float, float, float, float]:
    """(low, outer low, outer high, high) of X25 or X26 in the round; no limits where the check does not exist yet."""
    given = rules.checks.of(check, figures.round_year)
    if not given:
        return 0.0, 0.0, float("inf"), float("inf")
    return given["low"], given["outer_low"], given["outer_high"], given["high"]


def ratio_words(figures: Figures, rules: Rules, check: str) -> str:
    """A ratio as a band: the exact one would nearly tell the figure of a cluster's one leading firm."""
    cap = next(one for one in rules.content["cap"] if one["code"] == check)
    ratio = ratio_of(figures, cap["figure"])
    assert ratio is not None
    low, outer_low, outer_high, high = limits_of(figures, rules, check)
    steps = (outer_low, low, high, outer_high)
    place = sum(ratio >= limit for limit in steps)
    if place == 0:
        return f"under {percent(outer_low)} of"
    if place == len(steps):
        return f"over {percent(outer_high)} of"
    return f"{percent(steps[place - 1])} to {percent(steps[place])} of"


def stops_of(figures: Figures, rules: Rules) -> list[Stop]:
    """Hard stops: with any of them a cluster is not eligible, whatever its score."""
    f, limits, stops = figures, rules.stops, []
    if f.response < limits["response_share"]:
        least = percent(limits["response_share"])
        sentence = f"{percent(f.response)} of the units in scope have an accepted return; {least} are needed."
        stops.append(Stop("RRu", "response", sentence))
    if f.employment < limits["employment_share"]:
        least = percent(limits["employment_share"])
        sentence = f"The accepted returns hold {percent(f.employment)} of the employment; {least} are needed."
        stops.append(Stop("COVe", "response", sentence))
    if f.copied is not None and f.copied > limits["copied_share"]:
        sentence = (
            f"{percent(f.copied)} of the returns repeat the year before; more than {percent(limits['copied_share'])} "
            "keeps a cluster out."
        )
        stops.append(Stop("CF", "copied", sentence))
    if f.in_scope < limits["small_frame"]:
        if f.response < limits["small_frame_response"]:
            share = percent(limits["small_frame_response"])
            sentence = f"A frame of fewer than {limits['small_frame']} units needs returns from {share} of them."
            stops.append(Stop("n", "few_units", sentence))
    elif f.operating < limits["units"]:
        sentence = f"Accepted returns of operating firms: {f.operating}; {limits['units']} are needed."
        stops.append(Stop("n", "few_units", sentence))
    if not f.has_cluster_return:
        stops.append(Stop("CLUSTER", "schedules", "The cluster schedule, which the agency files, is not accepted."))
    return stops
