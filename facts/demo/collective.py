"""Answers of the cluster associations: the ASSOCIATION schedule, monotone in cohesion."""

from __future__ import annotations

import datetime as dt

import numpy as np

from facts.demo.surroundings import neat

ORGANISED = 0.27  # cohesion from which an association passes the gates of organisation
SERVICES = ("info", "rep", "train", "fair", "test", "buy", "design", "infra", "fin", "sell", "env", "rnd")


def association_answers(rng: np.random.Generator, cluster: dict, facts: dict, last_election: str | None) -> dict:
    """Return the answers of the ASSOCIATION schedule, all questions answered that are asked.

    `facts`: ref_year, years (since the first), fy_end (date), frame (in-scope units), small_share (units
    under 50 persons), sales (LCU of the cluster), staff_cost (LCU per person and year).
    Associations of little cohesion held no general meeting in time and show no accounts. `last_election`
    fixes AA04.
    """
    kappa, eta = cluster["kappa"], cluster["eta"]
    organised = eta >= ORGANISED
    end: dt.date = facts["fy_end"]
    progress = 0.004 * facts["years"]
    members = int(np.clip(np.rint(facts["frame"] * (0.9 * eta + progress + rng.normal(0, 0.012))), 0, facts["frame"]))
    board = 5 + round(10 * eta)
    staff = neat(max(0.5, (0.3 + 0.013 * members * (0.6 + 0.9 * eta)) * np.exp(rng.normal(0, 0.06))), 1)
    money = _money(rng, cluster, facts, staff)
    used = _part(rng, members, 0.18 + 0.60 * eta + progress, 0.03)
    survey = int(eta >= 0.44)
    services = SERVICES[: max(1, round(1 + 9 * eta))]
    meeting = end - dt.timedelta(days=int(rng.integers(60, 200) if organised else rng.integers(500, 800)))
    answers = {
        "AA01": 2 if cluster["type"] == "craft" else 3 if kappa >= 0.9 else 1,
        "AA02": max(1900, min(cluster["first_firms"] + 25, 1998)),
        "AA03": int(eta >= 0.23),
        "AA04": last_election or election_before(end, cluster["units"]).isoformat(),
        "AA05": board,
        "AA06": min(board, round(board * (0.05 + 0.45 * cluster["women"]))),
        "AA07": int(np.clip(np.rint(1 + 9 * eta + rng.normal(0, 0.5)), 0, 12)),
        "AA08": meeting.isoformat(),
        "AA09": _part(rng, members, 0.12 + 0.36 * eta, 0.02),
        "AB01": members,
        "AB02": _part(rng, members, facts["small_share"] - 0.06, 0.01),
        "AB03": round(6 * eta),
        "AC01": staff,
        "AC02": int(eta >= 0.40),
        "AC03": neat(float(staff) * (1 + 4 * eta), 0),
        **money,
        "AE01": 2 if eta >= 0.45 else 1 if eta >= ORGANISED else 0,
        "AE02": dt.date(facts["ref_year"] - (1 if eta >= 0.3 else 7) - facts["years"] % 3, 2, 20).isoformat(),
        "AE03": int(eta >= 0.5),
        "AE04": int(eta >= 0.42),
        "AE05": survey,
        "AF01": sorted(services),
        "AF02": used,
        "AF03": round(0.0042 * eta * facts["sales"] * float(np.exp(rng.normal(0, 0.15)))),
        "AF04": round(0.0068 * eta * facts["sales"] * float(np.exp(rng.normal(0, 0.15)))),
        "AF05": round(members * (0.3 + 1.2 * eta)),
        "AF06": _part(rng, members, 0.05 + 0.45 * eta, 0.02),
        "AF07": int(np.clip(np.rint(0.5 + 6 * eta + rng.normal(0, 0.8)), 0, 100)),
        "AF08": int(np.clip(np.rint(7 * kappa * eta + rng.normal(0, 0.5)), 0, 200)),
        "AG01": int(np.clip(np.rint(2.4 * eta + rng.normal(0, 0.4)), 0, 100)),
        "AG02": int(np.rint(0.5 + 4 * eta)),
        "AG03": _part(rng, members, 0.35 * eta, 0.02),
        "AG04": int(eta >= 0.4),
    }
    if survey:
        answers["AE06"] = neat(np.clip(5.5 + 3 * eta + rng.normal(0, 0.2), 0, 10), 1)
    return answers


def election_before(end: dt.date, turn: int) -> dt.date:
    """Return the last 15 November of a three-year cycle that lies before the end of the fiscal year."""
    year = end.year if end >= dt.date(end.year, 11, 15) else end.year - 1
    return dt.date(year - (year + turn) % 3, 11, 15)


def _part(rng: np.random.Generator, members: int, share: float, sd: float) -> int:
    """Return a whole part of the members, never more than all."""
    return int(np.clip(np.rint(members * (share + rng.normal(0, sd))), 0, members))


def _money(rng: np.random.Generator, cluster: dict, facts: dict, staff: float) -> dict:
    own_share = 0.15 + 0.8 * cluster["eta"] - 0.15 * (1 - cluster["kappa"]) + rng.normal(0, 0.015)
    income = 2.2 * staff * facts["staff_cost"]
    own = income * float(np.clip(own_share, 0.05, 0.95))
    dues, services, grants = round(0.55 * own), round(0.45 * own), round(income - own)
    total = dues + services + grants
    return {
        "AD01": dues,
        "AD02": services,
        "AD03": grants,
        "AD04": total,
        "AD05": round(total * float(np.clip(rng.normal(0.97, 0.03), 0.85, 1.08))),
        "AD06": 0 if cluster["eta"] < ORGANISED else 2 if cluster["eta"] >= 0.42 else 1,
    }
