"""One reference year of one cluster: what its units did, what they wrote down, and which of them answered."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from facts.demo.units import CERTIFICATES, DIGITAL, NEVER

INNOVATIONS = ("mkt", "org", "proc", "prod")
JOINT = ("buy", "fac", "fin", "info", "lobby", "sell", "train")
JOINT_ODDS = (0.14, 0.24, 0.06, 0.34, 0.26, 0.20, 0.22)
AREAS = ("cap", "fin", "infra", "innov", "mkt", "tech")
AREA_ODDS = (0.10, 0.05, 0.04, 0.04, 0.09, 0.06)
OBSTACLES = ("power", "skill", "fin", "raw", "demand", "comp", "tax", "tech", "perm", "std", "road", "none")

# Money that is proportional to sales: who tells part of his sales tells the same part of these.
MONEY = (
    "UC01",
    "UC02",
    "UC03",
    "UC06",
    "UD01",
    "UD04",
    "UD05",
    "UD06",
    "UB09",
    "UE01",
    "UE02",
    "UF02",
    "UG01",
)
PERSONS = ("UB01", "UB02", "UB03", "UB04", "UB05", "UB06", "UB07")
CORE = (
    "UB01",
    "UB02",
    "UB03",
    "UB09",
    "UC01",
    "UC02",
    "UD01",
    "UD03",
    "UD04",
    "UD05",
    "UD06",
    "UD07",
    "UE01",
    "UJ02",
)
OFTEN_MISSING = ("UC06", "UF03", "UG03")
OTHERS = (
    *(
        "UA06",
        "UA07",
        "UB04",
        "UB05",
        "UB06",
        "UB07",
        "UB08",
        "UC03",
        "UC04",
        "UC05",
        "UD02",
        "UE02",
        "UE03",
        "UE04",
    ),
    *(
        "UE05",
        "UE06",
        "UF01",
        "UF02",
        "UG01",
        "UG02",
        "UG04",
        "UG05",
        "UG06",
        "UH01",
        "UH02",
        "UH03",
        "UH04",
        "UH05",
    ),
    "UJ01",
)
SENSITIVE = frozenset({"UC06", "UE01", "UE02", "UF01", "UF02", "UF03", "UG01", "UH05", "UB09"})
DK, REF = 1, 2


@dataclass(frozen=True)
class When:
    """The surroundings of a cluster in one reference year; money in local currency."""

    ref_year: int
    growth: float  # common to all clusters, log points
    lift: float  # planted effect on sales per person, log points
    price: float  # LCU of this year per international dollar of the base year
    inflation: float  # 0.05 = 5 per cent
    tariff: float  # international dollars of the base year per kWh
    lending_rate: float  # per cent a year
    response: float | None  # a planted mean response; None = as usual
    kwh_declared: float = 1.0


@dataclass
class State:
    """What a year hands to the next; arrays of length N."""

    level: float
    ar: np.ndarray
    persons: np.ndarray  # log of persons relative to the start
    machinery: np.ndarray | None
    left: np.ndarray  # reference year in which the unit closed or left; NEVER if it did not


@dataclass
class Year:
    """One cluster-year; arrays of length N over all units, alive or not."""

    ref_year: int
    alive: np.ndarray  # at any time in the year
    alive_at_end: np.ndarray
    persons: np.ndarray
    responds: np.ndarray
    true: dict[str, np.ndarray]  # sales, exports, kwh, value_added, paid, pay: before telling and rounding
    answers: dict[str, np.ndarray]  # by question code
    options: dict[str, tuple[tuple[str, ...], np.ndarray]]  # multi questions: option codes, N x options bool
    marks: dict[str, np.ndarray]  # 0 answered, 1 DK, 2 REF (UC06, which is not required: left blank)
    draft: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))


def start_state(n: int) -> State:
    return State(0.0, np.zeros(n), np.zeros(n), None, np.full(n, NEVER))


def draw_year(rng: np.random.Generator, cluster: dict, units: dict, state: State, when: When) -> Year:
    """Draw one year and move `state` on to it."""
    n = len(units["size"])
    persons = _move(rng, units, state, when)
    alive, status, months = _status(rng, units, state, when)
    flows = _flows(rng, units, state, when, persons, months)
    answers = {"UA01": status, "UA02": months, "UA03": units["start_year"], "UA04": units["legal"]}
    answers |= {"UA05": units["isic4"], "UA06": units["position"], "UA07": units["women_led"].astype(int)}
    answers |= _people(rng, cluster, units, persons)
    practice, options = _practice(rng, cluster, units, answers, flows, when)
    answers |= practice | flows
    true = {
        "sales": flows["UC01"],
        "direct_exports": flows["UC02"],
        "kwh": flows["UD03"],
        "value_added": flows["UC01"] + flows["UC06"] - sum(flows[c] for c in ("UD01", "UD04", "UD05", "UD06")),
        "pay": flows["UB09"],
        "paid_months": (answers["UB05"] + answers["UB06"]) * months,
    }
    answers |= written_down(rng, units, answers, when)
    odds = units["answers"] if when.response is None else units["answers"] * when.response / units["answers"].mean()
    return Year(
        ref_year=when.ref_year,
        alive=alive,
        alive_at_end=alive & (state.left > when.ref_year),
        persons=persons,
        responds=alive & (rng.random(n) < odds),
        true=true,
        answers=answers,
        options=options,
        marks=_marks(rng, n),
        draft=np.full(n, False),
    )


def _move(rng: np.random.Generator, units: dict, state: State, when: When) -> np.ndarray:
    """Advance growth, the unit's luck and employment by one year; return persons engaged (whole, >= 1)."""
    n = len(units["size"])
    step = when.growth + rng.normal(0, 0.02)
    state.level += step
    first = state.machinery is None
    # Stationary at the start: the spread of luck is the same in every year.
    state.ar = rng.normal(0, 0.12 / np.sqrt(1 - 0.6**2), n) if first else 0.6 * state.ar + rng.normal(0, 0.12, n)
    state.ar[units["lead"]] = 0.0
    state.persons = state.persons + 0.35 * step + rng.normal(0, 0.06, n)
    return np.maximum(np.rint(units["persons"] * np.exp(state.persons)), 1).astype(int)


def _status(
    rng: np.random.Generator, units: dict, state: State, when: When
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = len(units["size"])
    draw, leaves = rng.random(n), rng.random(n) < 0.02
    # Who closes late in the year reports the months it worked; the others only that they are gone.
    how = rng.choice([2, 4, 5, 6], n, p=[0.70, 0.24, 0.04, 0.02])
    months = rng.integers(5, 12, n)
    new = units["entry"] == when.ref_year
    alive = (units["entry"] <= when.ref_year) & (state.left > when.ref_year)
    leaves &= alive & ~new & ~units["steadfast"]
    state.left[leaves] = when.ref_year
    status = np.select([leaves, new, units["steadfast"], draw < 0.945, draw < 0.99], [how, 2, 1, 1, 2], 3)
    return alive, status, np.where(status == 2, months, 12)


def _flows(
    rng: np.random.Generator, units: dict, state: State, when: When, persons: np.ndarray, months: np.ndarray
) -> dict[str, np.ndarray]:
    """Return money in LCU and kWh as they were, neither told in part nor rounded."""
    n = len(persons)

    def noise(sd: float) -> np.ndarray:
        return np.exp(rng.normal(0, sd, n))

    real = persons * np.exp(units["productivity"] + state.level + state.ar + when.lift)  # full year, PPP dollars
    yearly = real * when.price
    sales = yearly * months / 12
    kwh = units["kwh"] * real * months / 12 * noise(0.10)
    energy_share = units["kwh"] * when.tariff * np.exp(0.22)
    margin = 1 - units["materials"] - units["jobwork"] - units["other"] - energy_share
    paid = persons - np.minimum(units["unpaid"], persons)
    invests = (rng.random(n) < 0.55) * np.maximum(0, rng.normal(0.14, 0.10, n))
    before = yearly * units["machinery"] if state.machinery is None else state.machinery
    bought = before * invests
    if state.machinery is None:
        state.machinery = before
    else:
        state.machinery = before * (1 + 0.5 * when.inflation) * 0.92 + bought
    exported = np.clip(units["export_share"] + rng.normal(0, 0.04, n), 0.01, 1.0) * units["exporter"]
    return {
        "UC01": sales,
        "UC02": sales * exported * units["direct_share"],
        "UC03": sales * exported * (1 - units["direct_share"]),
        "UC06": sales * rng.normal(0.004, 0.02, n),
        "UD01": sales * units["materials"] * noise(0.05),
        "UD03": kwh,
        "UD04": kwh * when.tariff * when.price * np.exp(0.22) * noise(0.20),
        "UD05": sales * units["jobwork"] * noise(0.15),
        "UD06": sales * units["other"] * noise(0.12),
        "UB09": sales * units["wage_share"] * np.maximum(margin, 0.05) * noise(0.05) * (paid > 0),
        "UE01": state.machinery,
        "UE02": bought,
    }


def _people(rng: np.random.Generator, cluster: dict, units: dict, persons: np.ndarray) -> dict[str, np.ndarray]:
    kappa, eta, size = cluster["kappa"], cluster["eta"], units["size"]
    women = rng.binomial(persons, units["women_odds"])
    unpaid = np.minimum(units["unpaid"], persons)
    regular = rng.binomial(persons - unpaid, np.array([0.35, 0.55, 0.7, 0.8])[size])
    qualified = rng.binomial(persons, np.clip(0.06 + 0.34 * kappa + 0.03 * units["skill"], 0.005, 0.98))
    days = rng.gamma(0.8, (0.25 + 2.4 * kappa * (0.4 + 0.6 * eta)) / 0.8, len(persons))
    return {
        "UB01": persons,
        "UB02": persons - women,
        "UB03": women,
        "UB04": unpaid,
        "UB05": regular,
        "UB06": persons - unpaid - regular,
        "UB07": qualified,
        "UB08": np.rint(2 * persons * days) / 2,
    }


def _practice(
    rng: np.random.Generator, cluster: dict, units: dict, people: dict, flows: dict, when: When
) -> tuple[dict[str, np.ndarray], dict[str, tuple[tuple[str, ...], np.ndarray]]]:
    """Return everything that is neither persons nor current money: technology, finance, acting together."""
    kappa, eta, hard = cluster["kappa"], cluster["eta"], cluster["hard"]
    n, skill, sales = len(units["size"]), units["skill"], flows["UC01"]
    product = rng.random(n) < np.clip(0.06 + 0.5 * kappa + 0.05 * skill, 0.005, 0.995)
    process = rng.random(n) < np.clip(0.05 + 0.4 * kappa, 0.005, 0.995)
    other = rng.random((n, 2)) < 0.05 + 0.25 * kappa
    small_claim = np.where(rng.random(n) < 0.08, rng.uniform(1, 8, n), 0.0)
    research = sales * 0.012 * (0.3 + kappa) * np.exp(rng.normal(0, 0.7, n)) * (product | process)
    draw, kind = rng.random(n), rng.random(n)
    unmet = 0.62 - 0.5 * hard
    credit = np.select(
        [draw >= 0.62, draw >= 0.62 * unmet, kind < 0.40, kind < 0.65], [1, 2, 3, 4], 5
    )  # 3 part, 4 refused, 5 did not apply: all unmet
    loans = 0.18 * sales * np.exp(rng.normal(0, 0.5, n)) * np.isin(credit, (2, 3))
    member_factor = np.where(units["member"], 1.4, 0.35)[:, None]
    joint = rng.random((n, len(JOINT))) < np.array(JOINT_ODDS) * (0.35 + 1.5 * eta) * member_factor
    supported = rng.random((n, len(AREAS))) < np.array(AREA_ODDS) * (0.4 + 1.2 * eta)
    weights = np.array([2.2 * (1 - hard) ** 2, 0.8, 0.9, 0.7, 0.8, 0.7, 0.6, 0.5, 0.4, 0.25, 0.3 * (1 - hard), 0.15])
    answers = {
        "UC04": np.rint(np.where(units["position"] == 2, np.minimum(units["brand_share"], 20), units["brand_share"])),
        "UC05": np.rint(np.where(product, 100 * rng.beta(2, 5, n), small_claim)),
        "UD02": np.rint(100 * units["local_share"]),
        "UE03": units["process"],
        "UE04": np.rint(np.clip(rng.normal(66 + 8 * kappa, 12, n), 5, 120)),
        "UE05": np.rint(np.minimum(units["outage"] * np.exp(rng.normal(0, 0.12, n)), 390)),
        "UE06": np.round(np.minimum(units["rejects"] * np.exp(rng.normal(0, 0.15, n)), 60), 1),
        "UF01": credit,
        "UF02": loans,
        "UF03": np.round(np.clip(when.lending_rate + rng.normal(1.5, 2, n), 0.3, 60), 1),
        "UG01": research,
        "UG03": rng.poisson(0.004 * people["UB01"] * kappa),
        "UG06": units["technology"],
        "UH01": units["member"].astype(int),
        "UH03": (rng.random(n) < 0.02 + 0.28 * kappa * (0.4 + eta)).astype(int),
        "UH05": np.clip(np.rint(rng.normal(2.2 + 1.8 * eta, 0.85, n)), 1, 5).astype(int),
        "UJ01": rng.choice(OBSTACLES, n, p=weights / weights.sum()),
        "UJ02": units["source"],
    }
    options = {
        "UG02": (INNOVATIONS, np.column_stack([other, process, product])),
        "UG04": (CERTIFICATES, units["certificates"]),
        "UG05": (DIGITAL, units["digital"]),
        "UH02": (JOINT, joint),
        "UH04": (AREAS, supported),
    }
    return answers, options


def written_down(rng: np.random.Generator, units: dict, answers: dict, when: When) -> dict[str, np.ndarray]:
    """Return money and kWh as the unit writes them: told in part, rounded from memory, and adding up.

    Parts are rounded first and the total is taken from the rounded parts: no identity of the form breaks.
    """
    memory = units["source"] == 4
    told = units["told"]
    out = {}
    for code in (*MONEY, "UD03"):
        exact = answers[code] * (when.kwh_declared if code == "UD03" else told)
        digits = rng.choice([1, 2, 2, 3], len(told))
        out[code] = np.where(memory, significant(exact, digits), np.rint(exact))
    # A unit of any size uses some power and some material: rounding must not make them vanish.
    out["UD01"] = np.maximum(out["UD01"], 1)
    out["UD03"] = np.maximum(out["UD03"], 1)
    out["UC03"] = np.minimum(out["UC03"], np.maximum(out["UC01"] - out["UC02"], 0))
    out["UC02"] = np.minimum(out["UC02"], out["UC01"])
    parts = sum(out[code] for code in ("UD01", "UD04", "UD05", "UD06", "UB09"))
    out["UD07"] = np.maximum(np.rint(parts * (1 + rng.normal(0, 0.004, len(told)))), out["UB09"])
    return out


def significant(x: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Return x rounded to so many significant digits and to the unit; 0 stays 0."""
    size = np.floor(np.log10(np.maximum(np.abs(x), 1e-12)))
    step = 10.0 ** np.maximum(size - digits + 1, 0)
    return np.rint(np.rint(x / step) * step)


def _marks(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Return by question 0 = answered, 1 = does not know, 2 = refuses."""
    rates = dict.fromkeys(OTHERS, 0.03) | dict.fromkeys(OFTEN_MISSING, 0.08) | dict.fromkeys(CORE, 0.015)
    missing = rng.random((n, len(rates))) < np.array(list(rates.values()))
    refuses = rng.random((n, len(rates))) < 0.4
    marks = {}
    for i, code in enumerate(rates):
        # Core items are only ever unknown; about money and trust some people also refuse.
        refused = refuses[:, i] if code in SENSITIVE and code not in CORE else False
        marks[code] = np.where(missing[:, i], np.where(refused, REF, DK), 0)
    return marks
