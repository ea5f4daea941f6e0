"""Figures are well-formed, say in words what they show, keep hostile text harmless, bear what is absent."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from observatory import figures
from observatory.figures.maps import Projection
from observatory.figures.parts import spoken, spread, ticks

HOSTILE = '<script>alert("1")</script> & \' \x07 style="x"'
SQUARE = {"iso2": "XX", "name": HOSTILE, "rings": [[[70, 10], [80, 10], [80, 20], [70, 20], [70, 10]]]}
POINT = {
    "name": HOSTILE,
    "longitude": 75,
    "latitude": 15,
    "href": "/clusters/X/?a=1&b=2",
    "label": True,
    "size": 3,
}
WINDOW = (60, 0, 100, 40)

DRAWN = {
    "rank_interval": figures.rank_interval(5, 6, 8, 14),
    "rank of one": figures.rank_interval(1, 1, 1, 1),
    "rank absent": figures.rank_interval(None, None, None, 14),
    "score_bar": figures.score_bar(62.4, 51, low=56, high=66),
    "score absent": figures.score_bar(None),
    "score beyond the scale": figures.score_bar(140, -3),
    "pillar_bars": figures.pillar_bars([70, 58, None, 52, float("nan")]),
    "pillars named": figures.pillar_bars([(HOSTILE, 70), ("B", None)]),
    "pillars empty": figures.pillar_bars([]),
    "dot_strip": figures.dot_strip([(HOSTILE, 3), ("b", 4.5), ("c", None)], HOSTILE, unit=HOSTILE, better="high"),
    "dot_strip one": figures.dot_strip([("a", 0)], "a", better="low"),
    "dot_strip equal": figures.dot_strip([("a", 5), ("b", 5), ("c", 5)]),
    "dot_strip empty": figures.dot_strip([]),
    "dot_strip absent": figures.dot_strip([("a", None)], "a"),
    "slope": figures.slope([(HOSTILE, 59, 62), ("b", None, 4), ("c", 5, None)], "2024", "2025", subject=HOSTILE),
    "slope empty": figures.slope([], "2024", "2025"),
    "slope one": figures.slope([("a", 5, 5)], "2024", "2025"),
    "line": figures.line([(HOSTILE, [(2020, 1), (2021, None), (2022, 3)]), ("b", [(2020, 2)])], subject=HOSTILE),
    "line empty": figures.line([]),
    "line absent": figures.line([("a", [(2020, None)])]),
    "bar_list": figures.bar_list([(HOSTILE, 3), ("b", -2), ("c", None)], subject=HOSTILE, median=1, unit="%"),
    "bar_list linked": figures.bar_list([("a", 3)], href=lambda name: f'/?q="{name}"&x'),
    "bar_list empty": figures.bar_list([]),
    "bar_list zero": figures.bar_list([("a", 0)]),
    "interval_list": figures.interval_list([(HOSTILE, 62, 56, 66), ("b", None, None, None)], median=50),
    "interval_list empty": figures.interval_list([]),
    "map": figures.region_map([SQUARE], [POINT, {"name": "nowhere", "longitude": None, "latitude": None}], WINDOW),
    "map empty": figures.region_map([], []),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_is_well_formed_and_says_what_it_shows(name):
    root = ET.fromstring(DRAWN[name])

    assert root.tag.endswith("svg")
    assert root[0].tag.endswith("title") and root[0].text.strip()
    assert root.attrib["role"] in ("img", "group")


@pytest.mark.parametrize("name", DRAWN)
def test_no_figure_holds_style_script_or_hostile_markup(name):
    text = DRAWN[name]
    root = ET.fromstring(text)

    assert "<script" not in text and "<style" not in text and "\x07" not in text
    assert not any(key == "style" or key.startswith("on") for node in root.iter() for key in node.attrib)
    assert not re.search(r"\b(nan|inf|None)\b", text)


@pytest.mark.parametrize("name", [name for name in DRAWN if "strip" in name or "list" in name or "slope" in name])
def test_wide_figures_place_in_percent_so_that_words_never_shrink(name):
    root = ET.fromstring(DRAWN[name])

    assert root.attrib["width"] == "100%"
    assert "viewBox" not in root.attrib


def test_a_figure_prints_itself_in_a_template():
    assert DRAWN["line"].__html__() is DRAWN["line"]


def test_rank_interval_speaks_and_orders_its_ends():
    drawn = figures.rank_interval(8, 6, 5, 14)

    assert "Rank 6 of 14; 90\u202f% interval 5 to 8" in drawn
    whisker = ET.fromstring(drawn).findall("line")[1].attrib
    assert float(whisker["x1"]) < float(whisker["x2"])


def test_absent_says_not_reported_and_is_never_a_zero_bar():
    drawn = figures.bar_list([("a", None), ("b", 2)])

    assert "not reported" in drawn
    assert drawn.count('class="fig-bar"') == 1


def test_bars_are_sorted_and_start_at_zero():
    root = ET.fromstring(figures.bar_list([("small", 1), ("large", 4)]))
    names = [node.text for node in root.iter() if node.attrib.get("class") == "fig-label"]
    bars = [node.attrib for node in root.iter() if node.attrib.get("class") == "fig-bar"]

    assert names == ["large", "small"]
    assert [(bar["x"], bar["width"]) for bar in bars] == [("0%", "100%"), ("0%", "25%")]


def test_a_gap_in_a_series_is_a_gap_in_its_line():
    whole = figures.line([("a", [(2020, 1), (2021, 2), (2022, 3)])])
    broken = figures.line([("a", [(2020, 1), (2021, None), (2022, 3)])])

    assert whole.count("fig-subject-line") == 2
    assert broken.count("fig-subject-line") == 0


def test_strip_counts_what_is_absent_and_names_subject_and_median():
    drawn = figures.dot_strip([("a", 1), ("b", 2), ("c", 9), ("d", None)], "c", unit="days")

    assert "3 clusters from 1 days to 9 days, median 2 days." in drawn
    assert "c: 9 days." in drawn and "1 not reported." in drawn
    assert drawn.count('class="fig-subject"') == 1


def test_map_is_equal_area():
    projection = Projection((0, -60, 90, 60), 900)

    def area(south, north):
        (_, top), (_, foot) = projection.place(0, north), projection.place(0, south)
        return foot - top

    # A band of the sphere holds sin(north) - sin(south) of its surface.
    assert area(0, 30) == pytest.approx(area(-30, 0))
    assert area(0, 30) / area(30, 60) == pytest.approx(0.5 / (0.8660254 - 0.5))


def test_map_parts_dots_on_one_spot_and_links_each():
    twins = [{**POINT, "name": f"c{i}", "href": f"/clusters/{i}/", "label": False} for i in range(4)]
    root = ET.fromstring(figures.region_map([SQUARE], twins, WINDOW))
    dots = {(node.attrib["cx"], node.attrib["cy"]) for node in root.iter() if node.tag.endswith("circle")}

    assert len(dots) == 4
    assert sum(node.tag.endswith("}a") for node in root.iter()) == 4


def test_map_moves_no_dot_far_from_its_place():
    twins = [{**POINT, "name": f"c{i}", "label": False, "size": 5} for i in range(9)]
    root = ET.fromstring(figures.region_map([], twins, WINDOW))
    x, y = Projection(WINDOW, 760).place(POINT["longitude"], POINT["latitude"])
    dots = [node.attrib for node in root.iter() if node.tag.endswith("circle")]

    assert all((float(dot["cx"]) - x) ** 2 + (float(dot["cy"]) - y) ** 2 <= 4.1**2 for dot in dots)


def test_map_labels_never_cover_each_other():
    crowd = [{**POINT, "name": f"Cluster {i}", "longitude": 75 + i * 0.2} for i in range(12)]
    root = ET.fromstring(figures.region_map([], crowd, WINDOW))
    rows = sorted(float(node.attrib["y"]) for node in root.iter() if "map-label" in node.attrib.get("class", ""))

    assert 1 <= len(rows) < 12


def test_map_of_the_real_land_is_light_enough(settings):
    path = settings.BASE_DIR / "fixtures" / "basemap" / "asia.json"
    land = json.loads(path.read_text())
    drawn = figures.region_map(land["shapes"], [POINT], land["window"], lines=land["lines"])

    assert len(drawn) < 60_000
    assert "map-disputed" in drawn
    assert len(figures.region_map(land["shapes"], [], (70, 28, 80, 36), lines=land["lines"])) < len(drawn)


@pytest.mark.parametrize(
    ("low", "high", "about", "expected"),
    [
        (0, 100, 4, [0, 25, 50, 75, 100]),
        (39, 82, 5, [30, 40, 50, 60, 70, 80, 90]),
        (5, 5, 4, None),
        (-3, 2, 5, None),
    ],
)
def test_ticks_cover_the_range_in_round_steps(low, high, about, expected):
    marks = ticks(low, high, about)

    assert marks[0] <= low and marks[-1] >= high and len(marks) >= 2
    assert expected is None or marks == expected


def test_spread_keeps_order_and_gap():
    moved = spread([10, 11, 12, 80], 15, 0, 100)

    assert all(two - one >= 15 for one, two in zip(moved, moved[1:], strict=False))
    assert moved[-1] == 80


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (None, "%", "not reported"),
        (1234, "", "1,234"),
        (-0.5, "", "\u22120.500"),
        (12.34, "%", "12.3\u202f%"),
    ],
)
def test_numbers_in_words(value, unit, words):
    assert spoken(value, unit) == words
