"""What a finding says to a person: value, rule, mend. Built when somebody entitled opens it, and never stored."""

from collections.abc import Callable, Mapping
from typing import Any

from .rules import Rules, check_of

Numbers = Mapping[str, Any]
NAMES = {
    "UB01": "persons engaged",
    "UB09": "labour cost",
    "UC01": "total sales",
    "UC02": "direct exports",
    "UD01": "materials used",
    "UD03": "electricity bought",
    "UD04": "energy cost",
    "UD06": "other running costs",
    "UE01": "machinery",
}
SIZE_NAMES = {1: "micro", 2: "small", 3: "medium", 4: "large"}
KEPT = "Kept inside the data team."
POWERS = {3: "1,000", 6: "a million"}


def explain(rule: str, numbers: Numbers, *, for_respondent: bool = False) -> str:
    """Say in plain words what a check saw: the value, the rule, the mend.

    rule: "X01-UC01", "X24". numbers: what the finding carries. for_respondent: without anything about other firms.
    """
    speak = SENTENCES.get(check_of(rule))
    if speak is None:
        return f"Check {rule} spoke."
    return speak(numbers, for_respondent)


def shown_to_respondent(rule: str, rules: Rules) -> bool:
    """Whether a respondent or an association may hear of a rule at all."""
    return not rules.for_data_team(rule)


def _x01(n: Numbers, for_respondent: bool) -> str:
    name, each = NAMES.get(str(n["question"]), str(n["question"])), " per month worked" if n["per_month"] else ""
    if n["ratio"] >= 1:
        change = f"{factor(n['ratio'])} times last year's"
    else:
        change = f"down to {percent(n['ratio'])} of last year's"
    said = f"{capital(name)}{each}: {amount(n['now'])}, last year {amount(n['before'])}: {change}."
    if for_respondent:
        return f"{said} That is far from what is usual. Correct the figure, or say what changed."
    where = "this cluster and division" if n["group"] == "cluster" else "this division in the country"
    return (
        f"{said} The middle firm of {where} reports {factor(n['median'])} times ({n['units']} firms compared). "
        f"The check speaks above a score of {amount(n['limit'])}; this is {amount(n['score'])}. "
        "Ask the firm to correct the figure or to say what changed."
    )


def _x02(n: Numbers, for_respondent: bool) -> str:
    return (
        f"{n['same']} of {n['compared']} money figures changed by the same {percent(n['growth'], signed=True)}: "
        f"{names(n['items'])}. Real figures hardly ever do. Give this year's own figures, or show the documents."
    )


def _x03(n: Numbers, for_respondent: bool) -> str:
    confirmed = len(n.get("confirmed") or ())
    said = f", {confirmed} of them confirmed by the respondent" if confirmed else ""
    return (
        f"{n['same']} of {n['compared']} money figures are last year's to the last digit{said}: {names(n['items'])}. "
        "Give this year's own figures, or show the documents."
    )


def _x04(n: Numbers, for_respondent: bool) -> str:
    return (
        f"Sales changed by a round {percent(n['growth'], signed=True)}, and by a round "
        f"{percent(n['growth_before'], signed=True)} the year before. Give the figure of the books where there is one."
    )


def _x05(n: Numbers, for_respondent: bool) -> str:
    if for_respondent:
        return KEPT
    return (
        f"Sales per person lie {spreads(n['z_sales_per_person'])} and {n['other']} {spreads(n['z_other'])} below the "
        f"middle of the peers; the check speaks where both together pass {-n['together']:g}. A signal, not proof: call."
    )


def _x06(n: Numbers, for_respondent: bool) -> str:
    return (
        f"Pay comes to {amount(n['pay'])} a month and paid person, {percent(n['pay'] / n['wage'])} of the region's "
        f"minimum wage of {amount(n['wage'])}; the floor is {percent(n['floor'])}. Correct labour cost, paid persons "
        "or months worked, or say why (part-time, apprentices, piece-rate)."
    )


def _x07(n: Numbers, for_respondent: bool) -> str:
    return (
        f"Electricity changed by {percent(n['energy'], signed=True)} while output, without the rise of prices, "
        f"changed by {percent(n['output'], signed=True)}. Correct the figure, or say why (new machine, "
        "generator, shared meter)."
    )


def _x08(n: Numbers, for_respondent: bool) -> str:
    of_last_year = n.get("before") is not None
    beside = "last year's" if of_last_year else ("what is usual" if for_respondent else "peers'")
    times = "10" if n["kind"] == "digit" else POWERS.get(abs(int(n["power"])), f"10^{abs(int(n['power']))}")
    way = "above" if n["power"] > 0 else "below"
    if n["kind"] == "digit":
        digit = "too many" if n["power"] > 0 else "too few"
        said = f"{capital(names(n['items']))}: {amount(n['now'][0])}, about {times} times {way} {beside}"
        said += f" ({amount(n['before'][0])})" if of_last_year else ""
        said += f", while the other figures fit. One digit {digit}?"
    else:
        said = (
            f"{len(n['items'])} money figures lie about {times} times {way} {beside}: {names(n['items'])}. Wrong scale?"
        )
    meant = "; ".join(f"{NAMES.get(i, i)} {amount(v)}" for i, v in zip(n["items"], n["corrected"], strict=True))
    last = ", or say that last year's was wrong" if of_last_year else ""
    return f"{said} Was this meant: {meant}? Confirm it, or the figure that stands{last}; nothing changes by itself."


def _x09(n: Numbers, for_respondent: bool) -> str:
    if for_respondent:
        return (
            "This return seems to have been filed twice. Check that every figure is your own firm's, and say whether "
            "you have a second establishment."
        )
    others = ", ".join(n["others"])
    parts = []
    if n["equal"]:
        parts.append(f"{n['equal']} of {n['items']} money figures are those of {others}")
    if n["same_register"]:
        parts.append(f"registration number or telephone are those of {others}")
    return f"{capital(' and '.join(parts))}. Hold both returns; visit, then merge them or keep both."


def _x10(n: Numbers, for_respondent: bool) -> str:
    parts = []
    if n.get("division"):
        parts.append(f"the main activity moved from division {n['division_before']} to {n['division']}")
    if n.get("size"):
        parts.append(f"the size moved from {SIZE_NAMES[n['size_before']]} to {SIZE_NAMES[n['size']]}")
    return f"{capital(' and '.join(parts))}. Check the frame, and whether this is still the same establishment."


def _x20(n: Numbers, _: bool) -> str:
    stop = f" Above {percent(n['stop'])} the cluster stays out of the index." if n["share"] > n["stop"] else ""
    return (
        f"{percent(n['share'])} of {n['returns']} returns with a predecessor repeat last year's money figures; more "
        f"than {percent(n['limit'])} is too many.{stop} Collect them again, or ask for documents."
    )


def _x21(n: Numbers, _: bool) -> str:
    return (
        f"{percent(n['share'])} of {n['returns']} returns report the same growth of sales, "
        f"{percent(n['growth'], signed=True, digits=1)}; the limit is {percent(n['limit'])}. "
        "Ask who filled them in, and how."
    )


def _x22(n: Numbers, _: bool) -> str:
    return (
        f"{percent(n['share'])} of the money figures have two digits at most before only zeros follow; the limit is "
        f"{percent(n['limit'])}. Figures seem to come from memory: ask for books or bills."
    )


def _x23(n: Numbers, _: bool) -> str:
    return (
        f"Persons end in 0 or 5 {n['index']:.2g} times as often as by chance, over {n['returns']} returns of 20 "
        f"persons and more; the limit is {n['limit']:g}. Train field staff to count."
    )


def _x24(n: Numbers, _: bool) -> str:
    mark = " (limit of the demonstration)" if n.get("demonstration") else ""
    return (
        f"{n['below']} returns report {NAMES[n['question']]} just below {amount(n['limit'])}, {n['above']} just above: "
        f"{n['name']}{mark}. By chance they would be about as many. Write a policy note; the figure is not published "
        "for the size classes on both sides of the limit."
    )


def _x25(n: Numbers, _: bool) -> str:
    return _control("Electricity declared", "what was sold on the feeders", n)


def _x26(n: Numbers, _: bool) -> str:
    return _control("Direct exports declared", "what customs counts", n)


def _control(what: str, outside: str, n: Numbers) -> str:
    caps = " So far off, it caps the reliability score." if n["caps"] else ""
    return (
        f"{what}, weighted up to the frame: {percent(n['ratio'])} of {outside}; expected are {percent(n['low'])} to "
        f"{percent(n['high'])}.{caps} Look for units that hide or miss a part, and check the outside figure."
    )


def _x27(n: Numbers, _: bool) -> str:
    return (
        f"{amount(n['registered'])} units are registered for sales tax, the frame has {amount(n['frame'])}: more than "
        f"{n['limit']:g} times. Units are missing from the frame: update it."
    )


def _x28(n: Numbers, _: bool) -> str:
    return (
        f"The association claims {percent(n['claimed'])} of the firms as members; {percent(n['confirmed'])} say so "
        f"themselves. More than {percent(n['limit'])} apart: ask for the list of paid-up members."
    )


def _x29(n: Numbers, _: bool) -> str:
    return (
        f"First digits of {n['figures']} money figures stray by {n['distance']:.3f} from Benford's law; the limit is "
        f"{n['limit']:g}. A hint, never used alone."
    )


def _x30(n: Numbers, _: bool) -> str:
    return (
        f"{percent(n['share'])} of {n['returns']} returns of this field worker are doubtful, {percent(n['mean'])} in "
        f"the whole round: {n['errors']:.1f} standard errors above. Check back on a tenth of them."
    )


SENTENCES: Mapping[str, Callable[[Numbers, bool], str]] = {
    **{"X01": _x01, "X02": _x02, "X03": _x03, "X04": _x04, "X05": _x05},
    **{"X06": _x06, "X07": _x07, "X08": _x08, "X09": _x09, "X10": _x10},
    **{"X20": _x20, "X21": _x21, "X22": _x22, "X23": _x23, "X24": _x24, "X25": _x25},
    **{"X26": _x26, "X27": _x27, "X28": _x28, "X29": _x29, "X30": _x30},
}


# --- How figures are written --------------------------------------------------------------------------------


def amount(value: float) -> str:
    """A figure with thousands marked; small ones with what digits they have."""
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:,.3g}"


def factor(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def percent(share: float, *, signed: bool = False, digits: int = 0) -> str:
    """A share in per cent; small ones keep a digit that says something."""
    value = 100 * share
    if digits == 0 and value and abs(value) < 10 and abs(value - round(value)) > 0.05:
        digits = 1 if abs(value) >= 0.1 else 2
    return f"{value:{'+' if signed else ''},.{digits}f} %".replace("-", "−")


def spreads(z: float) -> str:
    return f"{-z:.1f} spreads"


def names(items: list[str]) -> str:
    words = [NAMES.get(item, item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
