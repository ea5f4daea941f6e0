"""Whom a cluster is compared with, and goalposts of a division (rule N2)."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cci.methodology import load_method
from cci.peers import Trade, peer_groups, trades_of
from cci.scoring import score
from cci.services import compute_edition
from tests.panel import panel_tables

METHOD = load_method("1.0")
FEW = ("JP-TAM-TYO", "LA-SLK-VTE", "PK-SUR-SKT", "VN-CER-BTG")


def with_posts(rows: list[tuple]):
    """The methodology with goalposts of divisions: iCode, transform, lo, hi, direction, group."""
    columns = [*METHOD.goalposts.columns, "group"]
    return replace(METHOD, peer_goalposts=pd.DataFrame(rows, columns=columns))


def test_division_and_type_come_from_the_return_of_the_round():
    trades = trades_of(panel_tables(FEW), 2025)

    assert trades["PK-SUR-SKT"] == Trade("32", "exp")
    assert trades["VN-CER-BTG"] == Trade("23", "craft")


def test_where_no_return_says_it_the_register_does():
    tables = panel_tables(("PK-SUR-SKT",))
    clusters = tables.clusters.assign(sector="3250")
    silent = replace(tables, clusters=clusters, collective=tables.collective.iloc[:0])

    assert trades_of(silent, 2025) == {"PK-SUR-SKT": Trade("32", "")}


def test_the_division_comes_before_the_type_and_needs_enough_ranked_clusters():
    trades = {f"T{n}": Trade("13", "sme") for n in range(5)} | {"L": Trade("15", "sme"), "X": Trade("99", "zone")}
    codes = [*trades]

    groups = peer_groups(codes, trades, codes, least=5)

    assert groups["T0"].members == ("T0", "T1", "T2", "T3", "T4")
    assert (groups["L"].kind, len(groups["L"].members)) == ("type", 6)
    assert groups["X"] is None
    thin = peer_groups(codes, trades, codes[1:], least=5)  # T0 is not ranked: four of the division are
    assert (thin["T0"].kind, thin["T0"].members) == ("type", ("L", "T1", "T2", "T3", "T4"))


def made_panel() -> pd.DataFrame:
    """Two clusters with the same value in every indicator, in the middle of the goalposts where they are linear."""
    middle = {}
    for post in METHOD.goalposts.itertuples():
        scaled = (post.lo + post.hi) / 2
        middle[post.iCode] = {"lin": scaled, "log": np.exp(scaled), "log1p": np.expm1(scaled)}[post.transform]
    return pd.DataFrame([{"uCode": code, **middle} for code in ("IN", "OUT")])


def test_a_division_with_goalposts_is_measured_by_them_and_no_other_is():
    """N2: at the middle between the posts of all, the upper post of its own division is 100 points."""
    middle = made_panel().iloc[0]["O104"]
    method = with_posts([("O104", "lin", middle - 10, middle, 1, "13")])

    found = score(made_panel(), {"IN": "13", "OUT": "15"}, method)

    assert found.normalised.at["IN", "O104"] == pytest.approx(100)
    assert found.normalised.at["OUT", "O104"] == pytest.approx(50)
    others = found.normalised.drop(columns="O104")
    assert others.loc["IN"].tolist() == pytest.approx(others.loc["OUT"].tolist())
    assert found.scores.at["IN", "CCI"] > found.scores.at["OUT", "CCI"]
    weight = METHOD.definitions.index_weight(next(i for i in METHOD.definitions.indicators if i.code == "O104"))
    pillar = next(node.weight for node in METHOD.definitions.pillars if node.code == "O")
    assert found.scores.at["IN", "O"] - found.scores.at["OUT", "O"] == pytest.approx(50 * weight / pillar)


def test_editions_and_their_errors_use_the_goalposts_of_the_division():
    tables = panel_tables(FEW, rounds=(2024, 2025))
    posts = METHOD.goalposts.set_index("iCode").loc["O104"]
    same = with_posts([("O104", "lin", posts["lo"], posts["hi"], 1, "32")])
    wide = with_posts([("O104", "lin", posts["lo"] - 100, posts["hi"] + 100, 1, "32")])

    plain = compute_edition(tables, 2025, METHOD, "s")
    equal, wider = compute_edition(tables, 2025, same, "s"), compute_edition(tables, 2025, wide, "s")

    pd.testing.assert_frame_equal(equal["scores"], plain["scores"])
    pd.testing.assert_frame_equal(equal["precision"].scores, plain["precision"].scores)
    others = [code for code in FEW if code != "PK-SUR-SKT"]
    pd.testing.assert_frame_equal(wider["scores"].loc[others], plain["scores"].loc[others])
    assert wider["scores"].at["PK-SUR-SKT", "O1"] != plain["scores"].at["PK-SUR-SKT", "O1"]


def test_goalposts_of_a_division_are_refused_for_other_indicators():
    from cci.methodology import _refuse_peer_goalposts

    rows = pd.DataFrame([("O101", "13")], columns=["iCode", "group"])

    with pytest.raises(ValueError, match="Goalposts of O101 for division 13: .* mend the goalposts file"):
        _refuse_peer_goalposts(rows, METHOD.content["peers"]["goalposts"])
