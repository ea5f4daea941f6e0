"""The invented firms of one cluster: what stays with a unit through all years."""

from __future__ import annotations

import numpy as np

BANDS = ((1.0, 9.49), (10.0, 49.49), (50.0, 249.49), (250.0, 900.0))  # persons, by SIZE
NEVER = 9999  # a year that does not come

CERTIFICATES = ("iso14001", "iso45001", "iso9001", "prod", "soc", "wood")
CERTIFICATE_ODDS = (0.06, 0.05, 0.38, 0.28, 0.17, 0.06)
DIGITAL = ("acc", "cad", "ecom", "erp", "phone", "web")
DIGITAL_EASE = (1.2, 0.2, 0.6, -0.4, 3.0, 1.5)  # which tools come first; how many is drawn apart

LEGAL_CODES = (1, 2, 3, 4, 5, 6)
LEGAL_ODDS = (
    (0.76, 0.12, 0.04, 0.0, 0.08, 0.0),
    (0.32, 0.28, 0.36, 0.01, 0.03, 0.0),
    (0.0, 0.12, 0.79, 0.08, 0.01, 0.0),
    (0.0, 0.0, 0.42, 0.53, 0.0, 0.05),
)


def draw_units(rng: np.random.Generator, cluster: dict, spec: dict) -> dict[str, np.ndarray]:
    """Return one array per lasting feature, each of length N (features of several options: N x options).

    `size` is the class at the start (0-3, micro to large); rules of the recipe that depend on size use it.
    Money ratios are shares of sales; `productivity` is the log of yearly sales per person in base-year PPP
    dollars.
    """
    n, kappa, planted = cluster["units"], cluster["kappa"], spec["planted"]
    units: dict[str, np.ndarray] = {}
    few = planted["P5"].get(cluster["code"])
    units["size"] = size = rng.permutation(np.repeat(np.arange(4), class_counts(n, cluster["size_mix"], few)))
    units["persons"] = persons = draw_persons(rng, size, few)
    units["steadfast"] = np.full(n, False) if few is None else size == few[0] - 1
    units["skill"] = skill = rng.normal(size=n)
    units["productivity"] = (
        np.log(cluster["sales_per_person_ppp"]) + 0.10 * np.log(persons / 10) + 0.22 * skill + rng.normal(0, 0.39, n)
    )
    units |= _cost_shape(rng, cluster, n)
    units |= _markets(rng, cluster, units)
    units |= _books(rng, cluster, units, planted)
    units |= _register(rng, cluster, units, spec)
    units |= _tools(rng, cluster, units)
    units["unpaid"] = _unpaid(rng, size, units["legal"])
    units["women_odds"] = rng.beta(6 * cluster["women"] + 0.2, 6 * (1 - cluster["women"]) + 0.2, n)
    units["outage"] = np.exp(np.log(2 + 55 * (1 - cluster["hard"]) ** 2) + rng.normal(0, 0.5, n))
    units["rejects"] = (1.5 + 9 * (1 - kappa) ** 1.5) * np.exp(rng.normal(0, 0.5, n))
    willing = np.array([-0.25, 0.2, 0.5, 0.9])[size] + rng.normal(0, 0.9, n)
    units["answers"] = sigmoid(np.log(cluster["response"] / (1 - cluster["response"])) + willing)
    units["lead"] = np.full(n, False)
    # A thin class must not fall silent: its few units always answer.
    units["answers"][units["steadfast"]] = 1.0
    if planted["P9"]["cluster"] == cluster["code"]:
        _plant_hiding(units, cluster)
    if planted["P4"]["cluster"] == cluster["code"]:
        _plant_lead_firm(units, planted["P4"])
    return units


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logistic function of x, element by element."""
    return 1 / (1 + np.exp(-x))


def class_counts(n: int, mix: list[float], few: list[int] | None) -> np.ndarray:
    """Return units per SIZE class: the shares of n, rounded so that they add up to n.

    `few` = [SIZE, units] caps one class; what it loses goes to the class below.
    """
    exact = n * np.asarray(mix)
    counts = np.floor(exact).astype(int)
    for largest in np.argsort(counts - exact, kind="stable")[: n - counts.sum()]:
        counts[largest] += 1
    if few is not None:
        place, cap = few[0] - 1, few[1]
        counts[place - 1] += counts[place] - cap
        counts[place] = cap
    return counts


def draw_persons(rng: np.random.Generator, size: np.ndarray, few: list[int] | None) -> np.ndarray:
    """Return persons engaged at the start, log-uniform inside each unit's class (not rounded)."""
    bands = [list(band) for band in BANDS]
    if few is not None:
        # A class that must stay thin: nobody starts so near its border that growth would carry him over it.
        place = few[0] - 1
        bands[place - 1][1] = 0.72 * bands[place][0]
        bands[place][0] *= 1.4
        bands[place][1] *= 0.72 if place < 3 else 1.0
    low, high = np.log(np.array(bands)).T
    return np.exp(rng.uniform(low[size], high[size]))


def _cost_shape(rng: np.random.Generator, cluster: dict, n: int) -> dict[str, np.ndarray]:
    return {
        "materials": np.clip(rng.normal(0.56, 0.08, n), 0.25, 0.78),
        "jobwork": np.clip(rng.normal(0.05, 0.03, n), 0.0, 0.18),
        "other": np.clip(rng.normal(0.07, 0.025, n), 0.01, 0.20),
        "wage_share": np.clip(rng.normal(0.55, 0.10, n), 0.25, 0.90),
        "kwh": cluster["kwh"] / 1000 * np.exp(rng.normal(0, 0.35, n)),
        "machinery": 0.35 * np.exp(rng.normal(0, 0.5, n)) * (0.6 + 0.8 * cluster["kappa"]),
        "local_share": rng.beta(2.2, 1.7, n),
    }


def _markets(rng: np.random.Generator, cluster: dict, units: dict) -> dict[str, np.ndarray]:
    size, kappa = units["size"], cluster["kappa"]
    n = len(size)
    odds = np.minimum(cluster["export"] * np.array([0.35, 0.9, 1.4, 1.6])[size], 0.97)
    brand = rng.random(n) < 0.25 + 0.6 * kappa
    step = rng.random(n)
    # Own brand: maker under own brand, or trader; else job-worker, maker to order, supplier or service.
    with_brand = np.select([step < 0.74, step < 0.94], [4, 3], 5)
    without = np.select([step < 0.30, step < 0.86, step < 0.93, step < 0.97], [2, 3, 1, 6], 5)
    return {
        "exporter": rng.random(n) < odds,
        "export_share": rng.beta(3, 2, n),
        "direct_share": np.where(size == 0, rng.beta(1, 4, n), rng.beta(5, 2, n)),
        "brand_share": np.where(brand, 100 * rng.beta(1 + 2 * kappa, 3, n), 0.0),
        "position": np.where(brand, with_brand, without),
    }


def _books(rng: np.random.Generator, cluster: dict, units: dict, planted: dict) -> dict[str, np.ndarray]:
    """Where the figures come from (1 audited .. 4 memory) and what part of sales is told."""
    size = units["size"]
    n = len(size)
    memory = rng.random(n) < cluster["memory"] * np.where(size == 0, 1.3, 0.6)
    audited = rng.random(n) < np.array([0.03, 0.15, 0.6, 0.95])[size]
    registers = rng.random(n) < 0.45
    source = np.select([memory, audited, registers], [4, 1, 3], 2)
    low, high = planted["P9"]["told"] if planted["P9"]["cluster"] == cluster["code"] else (0.35, 0.70)
    hides = (rng.random(n) < cluster["under_report"]) & (source != 1)
    return {"source": source, "told": np.where(hides, rng.uniform(low, high, n), 1.0)}


def _register(rng: np.random.Generator, cluster: dict, units: dict, spec: dict) -> dict[str, np.ndarray]:
    size = units["size"]
    n = len(size)
    years = [*spec["reference_years"][1:], spec["open_year"]]
    rate = spec["entry_rate"] * (cluster["kappa"] + cluster["eta"]) / 2
    enters = (rng.random(n) < rate * len(years)) & (size <= 1) & ~units["steadfast"]
    entry = np.where(enters, rng.choice(years, n), 0)
    age = np.minimum(1 + rng.gamma(2.0, 7.0, n), 90).astype(int)
    odds = np.array(LEGAL_ODDS)[size].cumsum(axis=1)
    draw = rng.random(n)
    # The small remainder keeps a draw of 0.99999 inside the last class although the sums are only nearly 1.
    legal = np.array(LEGAL_CODES)[(draw[:, None] * odds[:, -1:] * (1 - 1e-12) >= odds).sum(axis=1)]
    others = cluster["isic_other"]
    pick = rng.random(n)
    other = np.array(others)[(rng.random(n) * len(others)).astype(int)]
    return {
        "entry": entry,
        "start_year": np.where(enters, entry, spec["reference_years"][0] - age),
        "legal": legal,
        "isic4": np.where(pick < 0.85, cluster["isic_main"], other),
        "registered": rng.random(n) < np.array([0.45, 0.85, 1.0, 1.0])[size],
        "member": rng.random(n) < cluster["eta"] * np.array([0.75, 1.1, 1.2, 1.2])[size],
        "women_led": rng.random(n) < 0.05 + 0.5 * cluster["women"],
    }


def _tools(rng: np.random.Generator, cluster: dict, units: dict) -> dict[str, np.ndarray]:
    size, skill, kappa = units["size"], units["skill"], cluster["kappa"]
    n = len(size)
    certified = rng.random(n) < 0.02 + 0.55 * kappa * np.array([0.3, 0.8, 1.4, 1.6])[size]
    # Largest key of a weighted exponential race: one certificate for all who hold any, a second for some.
    race = rng.exponential(size=(n, len(CERTIFICATES))) / np.array(CERTIFICATE_ODDS)
    rank = race.argsort(axis=1).argsort(axis=1)
    held = 1 + (rng.random(n) < 0.15 + 0.1 * size)
    count = rng.binomial(6, np.clip(0.12 + 0.55 * kappa + 0.05 * size, 0, 1))
    ease = np.array(DIGITAL_EASE) + rng.gumbel(size=(n, len(DIGITAL)))
    order = (-ease).argsort(axis=1).argsort(axis=1)
    level = np.rint(1 + 4 * (0.10 + 0.62 * kappa + 0.08 * skill + 0.06 * size))
    learnt = np.rint(4 * (0.06 + 0.62 * kappa + 0.1 * rng.normal(size=n)))
    return {
        "certificates": certified[:, None] & (rank < held[:, None]),
        "digital": order < count[:, None],
        "process": np.clip(level, 1, 5).astype(int),
        "technology": np.clip(learnt, 0, 4).astype(int),
    }


def _unpaid(rng: np.random.Generator, size: np.ndarray, legal: np.ndarray) -> np.ndarray:
    n = len(size)
    by_size = [1 + rng.poisson(0.6, n), rng.integers(0, 3, n), rng.integers(0, 2, n), rng.integers(0, 2, n)]
    unpaid = np.choose(size, by_size)
    # A sole proprietor works in the unit himself, unpaid.
    return np.where(legal == 1, np.maximum(unpaid, 1), unpaid)


def _plant_hiding(units: dict, cluster: dict) -> None:
    """Make those who hide sales ordinary firms: a very productive one would still look honest."""
    hides = units["told"] < 1
    usual = np.log(cluster["sales_per_person_ppp"]) + 0.10 * np.log(units["persons"] / 10)
    usual_kwh = cluster["kwh"] / 1000
    units["productivity"] = np.where(hides, (units["productivity"] + usual) / 2, units["productivity"])
    units["kwh"] = np.where(hides, np.sqrt(units["kwh"] * usual_kwh), units["kwh"])


def _plant_lead_firm(units: dict, case: dict) -> None:
    """Make the first large unit sell `sales_share` of the whole cluster, openly and every year."""
    lead = int(np.flatnonzero(units["size"] == 3)[0])
    units["persons"][lead] = case["persons"]
    sales = units["persons"] * np.exp(units["productivity"])
    rest = sales.sum() - sales[lead]
    share = case["sales_share"]
    units["productivity"][lead] = np.log(rest * share / (1 - share) / case["persons"])
    units["steadfast"][lead] = True
    units["lead"][lead] = True
    # Its costs are the usual ones: with most of the sales it would else shift every ratio of the cluster.
    units["materials"][lead], units["jobwork"][lead], units["other"][lead] = 0.56, 0.05, 0.07
    units["wage_share"][lead] = 0.55
    units["answers"][lead] = 1.0
    units["source"][lead] = 1
    units["told"][lead] = 1.0
    units["exporter"][lead] = True
