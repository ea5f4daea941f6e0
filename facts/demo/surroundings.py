"""Answers of the agencies: the CLUSTER schedule and the REGION schedule, monotone in the latent features."""

from __future__ import annotations

import numpy as np

# Needed shared facilities in the order in which a cluster gets them.
FACILITIES = ("train", "cfc", "lab", "show", "design", "tool", "raw", "store", "est", "etp")
INCENTIVES = ("exp", "tax", "skill", "cap", "clus", "int", "land", "power")
INNOVATION_INCENTIVES = ("stdsup", "ipfee", "rdgrant", "vouch", "univ", "rdtax")
# Hand work in these divisions has nothing to treat: few kWh per 1000 PPP dollars of sales.
NO_EFFLUENT = frozenset({"32", "13", "01"})
HANDWORK_KWH = 8
# Outside totals exist where customs and the utility can tell a cluster apart: large, exporting, using power.
CUSTOMS_SEE = {"units": 150, "export": 0.25}
UTILITY_SEES = {"units": 170, "kwh": 18}


def specialisation(spec: dict) -> dict[str, tuple[float, float]]:
    """Return by cluster the region's share of the country's employment: in the division, and in all.

    The first grows with capability. Regions that share a division are fitted together, so that their parts
    and the rest of the country never exceed the whole.
    """
    groups: dict[tuple[str, str], list[dict]] = {}
    for cluster in spec["clusters"]:
        groups.setdefault((cluster["country"], cluster["isic_main"][:2]), []).append(cluster)
    shares: dict[str, tuple[float, float]] = {}
    for members in groups.values():
        plain = {c["code"]: spec["regions"][c["region"]] for c in members}
        odds = {c["code"]: plain[c["code"]] * min(0.6 + 5.5 * c["kappa"], 4.8) for c in members}
        whole = sum(odds.values()) + 1 - sum(plain.values())
        shares |= {code: (odds[code] / whole, plain[code]) for code in odds}
    return shares


def division_employment(spec: dict, persons: dict[str, float]) -> dict[str, float]:
    """Return by cluster the country's employment in its division in the first year.

    `persons` holds the cluster's own employment at the start: no region may have fewer than its cluster.
    """
    shares = specialisation(spec)
    employment: dict[tuple[str, str], float] = {}
    for cluster in spec["clusters"]:
        key = (cluster["country"], cluster["isic_main"][:2])
        country = 1000 * spec["countries"][cluster["country"]]["employment_thousand"]
        needed = 1.8 * persons[cluster["code"]] / shares[cluster["code"]][0]
        employment[key] = max(employment.get(key, 0.006 * country), needed)
    return {c["code"]: employment[c["country"], c["isic_main"][:2]] for c in spec["clusters"]}


def workforce(spec: dict, region: str, ref_year: int) -> tuple[int, int]:
    """Return total employment of the region and of its country (persons), growing 1 % a year."""
    grown = 1.01 ** (ref_year - spec["reference_years"][0])
    country = round(1000 * spec["countries"][region[:2]]["employment_thousand"] * grown)
    return round(country * spec["regions"][region]), country


def rating(rng: np.random.Generator, centre: float) -> int:
    return int(np.clip(np.rint(centre + rng.normal(0, 0.25)), 1, 5))


def cluster_answers(rng: np.random.Generator, cluster: dict, facts: dict) -> dict:
    """Return the answers of the CLUSTER schedule; every required question is answered.

    `facts` are true figures of the year: by_size (4 counts at year-end), opened, closed, persons,
    value_added, direct_exports_usd, kwh, registered, cb07, cb08, tariff (LCU per kWh), years (since the
    first).
    """
    kappa, eta, hard = cluster["kappa"], cluster["eta"], cluster["hard"]
    division = cluster["isic_main"][:2]
    needed = 4 + round(4 * kappa)
    working = needed * (0.15 + 0.75 * (hard + eta) / 2 + 0.015 * facts["years"]) + rng.normal(0, 0.15)
    working = int(np.clip(np.rint(working), 1, needed))
    untreated = cluster["kwh"] < HANDWORK_KWH and division in NO_EFFLUENT
    micro, small, medium, large = (int(count) for count in facts["by_size"])
    answers = {
        "CA01": f"{cluster['name']} (demo data)",
        "CA02": cluster["isic_main"],
        "CA03": list(cluster["isic_other"]),
        "CA04": list(cluster["hs"]),
        "CA05": cluster["region"],
        "CA06": cluster["place"],
        "CA07": cluster["latitude"],
        "CA08": cluster["longitude"],
        "CA09": cluster["radius_km"],
        "CA10": cluster["first_firms"],
        "CA11": cluster["type"],
        "CA12": cluster["stage"],
        "CB01": micro,
        "CB02": small,
        "CB03": medium,
        "CB04": large,
        "CB05": int(facts["opened"]),
        "CB06": int(facts["closed"]),
        "CB07": facts["cb07"],
        "CB08": facts["cb08"],
        "CB09": round(facts["value_added"] / (0.04 + 0.6 * kappa * eta)),
        "CH01": neat(np.clip(24 - 11 * (1 - hard) ** 2 + rng.normal(0, 0.3), 8, 24), 1),
        "CH02": neat(facts["tariff"] * np.exp(rng.normal(0, 0.03)), 2),
        "CH03": rating(rng, 1 + 4 * hard - 0.1),
        "CH04": rating(rng, 1 + 4 * hard - 0.3),
        "CH05": neat((2 + 45 * (1 - hard)) * np.exp(rng.normal(0, 0.05)), 1),
        "CH06": sorted(FACILITIES[:needed]),
        "CH07": sorted(FACILITIES[:working]),
        "CH08": 9 if untreated else int(np.clip(np.rint(0.3 + 2.9 * hard), 0, 3)),
        "CH09": rating(rng, 1.4 + 2.4 * hard),
        "CH10": neat(np.clip(141 - 24 * hard - 11 * kappa + rng.normal(0, 3), 60, 175), 0),
        "CH11": max(1, round(1 + cluster["units"] / 60 * (0.4 + hard))),
        "CS01": int(np.rint(1 + 5 * kappa + rng.normal(0, 0.3))),
        "CS02": int(np.rint(2 + 10 * kappa + rng.normal(0, 0.5))),
        "CS03": int(np.rint(facts["persons"] * 0.02 * (0.5 + kappa) * np.exp(rng.normal(0, 0.1)))),
        "CS04": rating(rng, 1.6 + 2.4 * kappa),
        "CS05": min(3, round(2.55 * eta)),
        "CS06": min(3, max(1, round(3.2 * kappa))),
        "CS07": int(rng.poisson(0.0006 * facts["persons"] * kappa)),
        "CV01": round(facts["direct_exports_usd"] * float(np.exp(rng.normal(0, 0.03)))),
        "CV02": round(facts["kwh"] * float(np.exp(rng.normal(0, 0.02)))),
        "CV03": int(np.rint(facts["registered"] * np.exp(rng.normal(0, 0.02)))),
    }
    for code, sees in (("CV01", CUSTOMS_SEE), ("CV02", UTILITY_SEES)):
        if any(cluster[feature] < least for feature, least in sees.items()):
            del answers[code]  # nobody can tell; the question need not be answered
    return answers


def region_answers(rng: np.random.Generator, spec: dict, region: str, facts: dict) -> dict:
    """Return the answers of the REGION schedule, all questions answered.

    `facts`: ref_year, kappa and hard (means over the region's clusters, weighted with units), persons (prior
    employment of all its clusters), price (LCU per base-year international dollar), minimum_wage (LCU a
    month).
    """
    country = spec["countries"][region[:2]]
    years = facts["ref_year"] - spec["reference_years"][0]
    employed, employed_country = workforce(spec, region, facts["ref_year"])
    spent_share = np.clip(0.60 + 0.38 * facts["hard"] + 0.02 * facts["kappa"] + rng.normal(0, 0.02), 0.4, 0.99)
    per_person = max(4.0, -9 + 53 * facts["hard"]) * np.exp(rng.normal(0, 0.08))
    spent = round(per_person * facts["persons"] * facts["price"])
    incentives = min(len(INCENTIVES), 2 + round(4 * facts["kappa"] + 2 * facts["hard"]))
    innovation = min(len(INNOVATION_INCENTIVES), 1 + round(4.4 * facts["kappa"] + 0.4))
    return {
        "RA01": neat(country["start_days"] * (1 - 0.04 * years), 2),
        "RA02": neat(country["start_days"] * 3.2 + 20 - years, 1),
        "RA03": neat(country["connection_days"] * (1 - 0.03 * years), 2),
        "RA04": neat(country["clearance_hours"] * (1 - 0.02 * years), 2),
        "RA05": round(250 + 2.2 * country["clearance_hours"]),
        "RA06": round(300 + 4.5 * country["connection_days"]),
        "RA07": round(120 + 45 * country["inspections"]),
        "RA08": country["inspections"],
        "RB01": sorted(INCENTIVES[:incentives]),
        "RB02": sorted(INNOVATION_INCENTIVES[:innovation]),
        "RB03": round(spent / spent_share),
        "RB04": spent,
        "RB05": int(np.clip(np.rint(2.4 * facts["hard"]), 0, 2)),
        "RB06": int(np.clip(np.rint(0.3 + 2.0 * facts["kappa"]), 0, 2)),
        "RC01": employed,
        "RC02": employed_country,
        "RC03": neat(facts["minimum_wage"], 0 if facts["minimum_wage"] > 100 else 2),
    }


def neat(value: float, decimals: int) -> int | float:
    """Return value rounded to so many decimals; an int when nothing is left behind the point."""
    rounded = round(float(value), decimals)
    return int(rounded) if rounded == int(rounded) else rounded
