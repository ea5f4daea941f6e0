"""The shortest way to become ranked: what to do, in order, how far each step is and what it brings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any

from .figures import Figures
from .gates import Association, GateResult
from .rules import Rules
from .scoring import caps_of, counted, limits_of, percent, points_of, ratio_words, stops_of

NEAR_ENOUGH = 1e-9
ASSOCIATION, AGENCY = "association", "agency"


@dataclass(frozen=True)
class Step:
    """One thing to do. n : of how many returns, members or papers. points : what it adds to the score, which is
    `after` once it and all steps before it are done. key : lever, stop or gate."""

    key: str
    who: str
    text: str
    detail: str
    n: int = 1
    points: float = 0.0
    after: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"points": round(self.points, 2), "after": round(self.after, 2)}


Work = Callable[[Figures, int], Figures]


@dataclass(frozen=True)
class Lever:
    """Work that comes in whole returns: how many there are to do, and what doing some of them changes."""

    key: str
    available: Callable[[Figures], int]
    work: Work
    words: Callable[[Figures, Figures, int], tuple[str, str]]


def shortest_way(figures: Figures, association: Association, rules: Rules, *, target: float) -> list[Step]:
    """The steps that make a cluster eligible, in order: hard stops, gates, caps, then points by points per effort.

    target : the score that counts as reliable for this cluster. New returns are taken to come from firms of average
    size, complete, without open warnings, from the sources that the others use. Empty where nothing is to be done.
    """
    plan = dict(_for_stops(figures, rules))
    if not figures.has_cluster_return:
        plan["CLUSTER"] = 1
    if not figures.has_region_return:
        plan["REGION"] = 1
    gates = {gate.code: gate for gate in _gates_to_mend(association)}
    plan |= {code: max(1, gate.short) for code, gate in gates.items()}
    if figures.accepted:
        held_at = {cap["code"]: cap["at"] for cap in rules.content["cap"]}
        plan |= {cap.code: 1 for cap in caps_of(figures, rules) if held_at[cap.code] < target}
        plan = _trimmed(figures, _for_points(figures, plan, rules, target), rules, target)
    steps = _in_words(plan, figures, gates, rules)
    after = carried_out(figures, plan, rules)
    if stops_of(after, rules):
        steps.append(_too_small(after, rules))
    elif figures.accepted and points_of(after, rules) < target:
        steps.append(_not_enough(after, rules, target))
    return steps


def carried_out(figures: Figures, plan: Mapping[str, int], rules: Rules) -> Figures:
    """The figures once all steps are done, new returns first; gates lie with the association and change no figure."""
    for key, lever in LEVERS.items():
        if plan.get(key):
            figures = lever.work(figures, plan[key])
    for cap in rules.content["cap"]:
        if cap["code"] in plan:
            figures = lift_cap(figures, cap["code"], rules)
    return replace(
        figures,
        has_cluster_return=figures.has_cluster_return or "CLUSTER" in plan,
        has_region_return=figures.has_region_return or "REGION" in plan,
    )


# --- What work changes ----------------------------------------------------------------------


def more_returns(f: Figures, n: int) -> Figures:
    """n more accepted returns of average firms: complete, without warnings, from the sources that the others use."""
    share = n / f.missing
    grown = (f.accepted + n) / f.accepted if f.accepted else 1.0
    return replace(
        f,
        accepted=f.accepted + n,
        operating=f.operating + n,
        response=f.response + (1 - f.response) * share,
        employment=f.employment + (1 - f.employment) * share,
        answered=None if f.answered is None else 1 - (1 - f.answered) / grown,
        sources=tuple((kind, count * grown, persons) for kind, count, persons in f.sources),
    )


def answer_warnings(f: Figures, n: int) -> Figures:
    return replace(f, warned=max(0, f.warned - n))


def fill_gaps(f: Figures, n: int) -> Figures:
    lacking = 1 - (f.answered or 0.0)
    return replace(f, answered=1 - lacking * (1 - n / f.with_gaps), with_gaps=f.with_gaps - n)


def use_registers(f: Figures, n: int) -> Figures:
    """n firms of average size answer from registers (3) and no longer from memory (4)."""
    by_kind = {kind: (count, persons) for kind, count, persons in f.sources}
    count, persons = by_kind[4]
    moved = persons * n / count
    had, held = by_kind.get(3, (0, 0.0))
    by_kind |= {3: (had + n, held + moved), 4: (count - n, persons - moved)}
    return replace(f, sources=tuple((kind, *pair) for kind, pair in sorted(by_kind.items()) if pair[0] > 0))


def collect_afresh(f: Figures, n: int) -> Figures:
    return replace(f, copied=max(0.0, (f.copied or 0.0) - n / f.matched))


def lift_cap(f: Figures, check: str, rules: Rules) -> Figures:
    """The ratio just inside its outer limits."""
    _, low, high, _ = limits_of(f, rules, check)
    name = "electricity" if check == "X25" else "exports"
    ratio = getattr(f, name)
    return replace(f, **{name: min(high, max(low, ratio))})


def _from_memory(f: Figures) -> int:
    return int(next((count for kind, count, _ in f.sources if kind == 4), 0))


# --- Words ----------------------------------------------------------------------------------


def _returns_words(now: Figures, after: Figures, n: int) -> tuple[str, str]:
    text = f"Bring in {counted(n, 'more return')} and have {'it' if n == 1 else 'them'} accepted"
    detail = f"Response rises from {percent(now.response)} to {percent(after.response)}"
    detail += f", the employment covered from {percent(now.employment)} to {percent(after.employment)}"
    detail += ", if they are firms of average size."
    if n > 1:
        detail += " Begin with the largest that are missing: they weigh most."
    return text, detail


def _warnings_words(now: Figures, after: Figures, n: int) -> tuple[str, str]:
    text = f"Settle the open warnings of {counted(n, 'return')}"
    detail = f"{now.warned:.0f} of {now.accepted} accepted returns wait with one"
    detail += ", or with an answer that was rejected: correct the figure or say why it is right."
    return text, detail


def _core_words(now: Figures, after: Figures, n: int) -> tuple[str, str]:
    text = f"Fill the blanks of {counted(n, 'return')} in the core questions"
    detail = f"{now.with_gaps:.0f} of {now.accepted} accepted returns lack at least one; of the questions asked "
    return text, detail + f"{percent(now.answered)} are answered, then {percent(after.answered)}."


def _evidence_words(now: Figures, after: Figures, n: int) -> tuple[str, str]:
    text = f"Help {counted(n, 'firm')} to answer from registers instead of memory"
    detail = (
        f"{counted(_from_memory(now), 'return')} from memory so far. A plain sales, purchase and wage book is enough."
    )
    return text, detail + " It also mends rounded figures (D6)."


def _copied_words(now: Figures, after: Figures, n: int) -> tuple[str, str]:
    text = f"Ask {counted(n, 'firm')} afresh, papers in hand, whose figures repeat the year before"
    detail = (
        f"{percent(now.copied)} of {now.matched} returns with a predecessor repeat it, then {percent(after.copied)}."
    )
    return text, detail


LEVERS: dict[str, Lever] = {
    lever.key: lever
    for lever in (
        Lever("returns", lambda f: f.missing, more_returns, _returns_words),
        Lever("warnings", lambda f: int(f.warned), answer_warnings, _warnings_words),
        Lever("core", lambda f: int(f.with_gaps), fill_gaps, _core_words),
        Lever("evidence", _from_memory, use_registers, _evidence_words),
        Lever("copied", lambda f: ceil((f.copied or 0.0) * f.matched - NEAR_ENOUGH), collect_afresh, _copied_words),
    )
}


# --- Choosing -------------------------------------------------------------------------------


def least(available: int, is_enough: Callable[[int], bool]) -> int | None:
    """The smallest n in 1…available that is enough, where more never hurts; None where nothing is."""
    if available < 1 or not is_enough(available):
        return None
    low, high = 1, available
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low


def _for_stops(figures: Figures, rules: Rules) -> Iterator[tuple[str, int]]:
    """How many returns, and how many returns collected afresh, the hard stops ask for."""
    counted_by = {"RRu", "COVe", "n"}

    def is_lifted(n: int) -> bool:
        return not counted_by & {stop.code for stop in stops_of(more_returns(figures, n), rules)}

    codes = {stop.code for stop in stops_of(figures, rules)}
    if codes & counted_by and figures.missing:
        yield "returns", least(figures.missing, is_lifted) or figures.missing
    if "CF" in codes and figures.matched:
        limit = rules.stops["copied_share"]
        yield "copied", ceil(((figures.copied or 0.0) - limit) * figures.matched - NEAR_ENOUGH)


def _for_points(figures: Figures, plan: dict[str, int], rules: Rules, target: float) -> dict[str, int]:
    """Add work by points per effort until the score is enough: each lever rises in a straight line to where it is full.

    Returns the plan, with the new work after what it held.
    """

    def score(more: Mapping[str, int]) -> float:
        amounts = {key: plan.get(key, 0) + more.get(key, 0) for key in {*plan, *more}}
        return points_of(carried_out(figures, amounts, rules), rules)

    plan = dict(plan)
    while score({}) < target:
        now, have = carried_out(figures, plan, rules), score({})
        left = {key: n for key, lever in LEVERS.items() if (n := lever.available(now)) >= 1}
        worth = {key: (score({key: 1}) - have) / rules.effort[key] for key in left}
        best = max(worth, key=worth.__getitem__, default="")
        if not best or worth[best] <= NEAR_ENOUGH:
            break
        wanted = min(target, score({best: left[best]}))
        enough = least(left[best], lambda n: score({best: n}) >= wanted - NEAR_ENOUGH)  # noqa: B023
        plan[best] = plan.get(best, 0) + (enough or left[best])
    return plan


def _trimmed(figures: Figures, plan: dict[str, int], rules: Rules, target: float) -> dict[str, int]:
    """Take back what a later, larger step made needless, the dearest work first; nothing where the plan falls short."""

    def is_enough(amounts: Mapping[str, int]) -> bool:
        after = carried_out(figures, amounts, rules)
        return points_of(after, rules) >= target and not stops_of(after, rules)

    if len(plan.keys() & LEVERS.keys()) < 2:
        return plan
    before: dict[str, int] = {}
    while is_enough(plan) and plan != before:  # less of one work may make less of another enough
        before = plan
        for key in sorted(plan.keys() & LEVERS.keys(), key=lambda key: (-rules.effort[key], key)):
            without = {name: n for name, n in plan.items() if name != key}
            enough = least(plan[key], lambda n: is_enough({**plan, key: n}))  # noqa: B023
            plan = without if is_enough(without) else {**plan, key: enough or plan[key]}
    return plan


# --- Steps in words -------------------------------------------------------------------------


def _in_words(plan: Mapping[str, int], figures: Figures, gates: dict[str, GateResult], rules: Rules) -> list[Step]:
    steps: list[Step] = []
    done: dict[str, int] = {}
    now = figures
    for key, n in plan.items():
        done[key] = n
        after = carried_out(figures, done, rules)
        if key in LEVERS:
            who, (text, detail) = ASSOCIATION, LEVERS[key].words(now, after, n)
        elif key in gates:
            who, (text, detail) = ASSOCIATION, _gate_words(gates[key])
        elif key in ("CLUSTER", "REGION"):
            who, (text, detail) = AGENCY, _schedule_words(key)
        else:
            who, (text, detail) = AGENCY, _cap_words(key, now, rules)
        before, score = (points_of(one, rules) for one in (now, after))
        steps.append(Step(key, who, text, detail, n, score - before, score))
        now = after
    return steps


def _schedule_words(key: str) -> tuple[str, str]:
    name = "cluster schedule" if key == "CLUSTER" else "region schedule"
    return f"Certify and submit the {name}", "The agency files it. Without it a part of the index cannot be computed."


def _gates_to_mend(association: Association) -> list[GateResult]:
    """The gates to pass, the quickest first; without a return nothing is known of the others."""
    failed = sorted(association.failed, key=lambda gate: (gate.months, gate.code))
    return failed if association.subject else [gate for gate in failed if gate.code == "OG8"]


def _gate_words(gate: GateResult) -> tuple[str, str]:
    text = f"Win {counted(gate.short, 'more paying member')}" if gate.short else gate.mend
    found = f"{gate.found[:1].upper()}{gate.found[1:]}"
    return text, f"{found}. Paper that proves it: {gate.paper}. It takes {gate.takes}."


def _cap_words(check: str, now: Figures, rules: Rules) -> tuple[str, str]:
    cap = next(one for one in rules.content["cap"] if one["code"] == check)
    _, low, high, _ = limits_of(now, rules, check)
    return cap["mend"], (
        f"{cap['name']} declared by the firms: {ratio_words(now, rules, check)} {cap['against']}. "
        f"From {percent(low)} to {percent(high)} the score is no longer held at {cap['at']}."
    )


def _too_small(after: Figures, rules: Rules) -> Step:
    detail = " ".join(stop.sentence for stop in stops_of(after, rules))
    return Step("frame", AGENCY, "Look at the frame: with every return in, it would still not be enough", detail)


def _not_enough(after: Figures, rules: Rules, target: float) -> Step:
    score = points_of(after, rules)
    return Step(
        "books",
        ASSOCIATION,
        "Better books for the next round",
        f"{target - score:.1f} points are then still short. They lie in rounded figures (D6), in sales that do not "
        "agree with people and electricity (D7) and in outside totals (D8), which calls alone cannot mend.",
        after=score,
    )
