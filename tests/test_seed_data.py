"""The reviewed data files: complete, consistent, attributed, and free of persons."""

import csv
import json
import math
import re
import tomllib
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SEED = ROOT / "fixtures" / "seed"
REFERENCE = ROOT / "fixtures" / "reference"
BASEMAP = ROOT / "fixtures" / "basemap"

COUNTRIES_WITH_REGIONS = {
    *("BD", "BR", "CN", "IN", "JP", "KH", "KR", "LA", "LK", "MM", "NP", "PK", "TH", "VN"),
}
FOUNDING = {"cpec-tcu", "unido-pakistan", "punjab-cdi", "mekong-2013", "planning-2012"}
AREAS = ["tech", "mkt", "fin", "cap", "infra", "innov"]
ZONES_IN_DISPUTED_REGIONS = {"mirpur", "moqpondass"}


def load(name):
    return tomllib.loads((SEED / f"{name}.toml").read_text(encoding="utf-8"))


def table(name):
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def by(rows, key):
    assert not [k for k, n in Counter(r[key] for r in rows).items() if n > 1]
    return {r[key]: r for r in rows}


def distance_km(a, b):
    (lat1, lon1), (lat2, lon2) = ((math.radians(x), math.radians(y)) for x, y in (a, b))
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371 * math.asin(math.sqrt(h))


def inside(lon, lat, rings):
    odd = False
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
            if (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) * (x2 - x1) / (y2 - y1):
                odd = not odd
    return odd


REGIONS = by(table("regions"), "code")
COUNTRIES = by(table("countries"), "iso2")
ISIC = by(table("isic4"), "code")
HS = by(table("hs2022"), "code")
SOURCES = load("sources")
CLUSTERS = load("clusters")
ORGANISATIONS = by(load("organisations")["organisation"], "slug")
INTERVENTIONS = by(load("interventions")["intervention"], "id")
TYPES = by(load("intervention_types")["type"], "code")
FIGURES = by(load("figures")["figure"], "id")
ZONES = by(load("zones")["zone"], "slug")
CODES = by(CLUSTERS["cluster"] + CLUSTERS["group"], "code")
MAP = json.loads((BASEMAP / "asia.json").read_text(encoding="utf-8"))

SEED_FILES = sorted(SEED.glob("*.toml"))
RECORDS = [
    pytest.param(row, id=f"{path.stem}-{kind}-{n}")
    for path in SEED_FILES
    if path.stem != "sources"
    for kind, rows in load(path.stem).items()
    for n, row in enumerate(rows, 1)
]


# --- counts -----------------------------------------------------------------------------------


def test_counts():
    assert {s["code"] for s in SOURCES["source"]} == FOUNDING
    assert len(CLUSTERS["cluster"]) == 24
    assert len(CLUSTERS["group"]) == 8
    assert len(INTERVENTIONS) == 39
    assert len(TYPES) == 27
    assert len(ZONES) == 9
    assert len(FIGURES) == 51
    assert len(load("dates")["date"]) == 22
    policy = load("policy")
    assert [r["number"] for r in policy["issue"]] == list(range(1, 14))
    assert [r["number"] for r in policy["action"]] == list(range(1, 14))


def test_matrix_of_areas_of_work():
    areas = load("areas_of_work")["area"]
    assert [a["code"] for a in areas] == AREAS
    rows = [o for o in ORGANISATIONS.values() if "areas" in o]
    assert len(rows) == 15
    assert len({o["matrix_name"] for o in rows}) == 15
    columns = Counter(a for o in rows for a in o["areas"])
    assert [columns[a] for a in AREAS] == [11, 9, 8, 10, 8, 8]
    groups = Counter(o["group"] for o in rows)
    assert groups == {
        "Central Government": 4,
        "National Support Institutions": 4,
        "Other Institutes": 7,
    }


def test_actors_and_aliases():
    assert sum("actor" in o["listed_as"] for o in ORGANISATIONS.values()) == 24
    assert "SABRAE" in ORGANISATIONS["sebrae"]["aliases"]
    assert "EPB" in ORGANISATIONS["tdap"]["aliases"]
    assert len(ORGANISATIONS["fmc"]["aliases"]) == 3
    assert ORGANISATIONS["ministry-of-ssi"]["merged_into"] == "ministry-of-msme"
    assert ORGANISATIONS["ministry-of-msme"]["areas"] == AREAS
    names = [n for o in ORGANISATIONS.values() for n in {o["name"], o["short"], *o["aliases"]}]
    assert not [n for n, k in Counter(names).items() if k > 1]


# --- references -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_cluster(code):
    row = CODES[code]
    assert re.fullmatch(r"[A-Z]{2}-[A-Z]{3}-[A-Z]{3}", code)
    assert code[:2] == row["country"] in COUNTRIES
    assert not set(row.get("related_clusters", [])) - set(CODES)
    if row["kind"] == "cluster":
        assert row["place_basis"] in {"stated", "assumed"}
        assert row["coordinates_basis"] == "general knowledge"
        assert row["hs_headings"] or row["hs_chapters"]
        assert ISIC[row["isic4_class"]]["level"] == "4"
        assert row["isic4_class"].startswith(row["isic4_division"])
    else:
        assert row["kind"] == "group of clusters"
    if "isic4_division" in row:
        assert ISIC[row["isic4_division"]]["level"] == "2"
    for other in row.get("isic4_other", []):
        assert ISIC[other]["level"] == "4"
    for heading in row.get("hs_headings", []):
        assert HS[heading]["parent"] == heading[:2]
    for chapter in row.get("hs_chapters", []):
        assert HS[chapter]["parent"] == ""
    assert ("latitude" in row) == ("longitude" in row)
    if "region" in row:
        assert REGIONS[row["region"]]["country"] == row["country"]


PLACED = [r for r in [*CODES.values(), *ZONES.values()] if "latitude" in r]


@pytest.mark.parametrize("row", PLACED, ids=lambda r: r.get("code") or r["slug"])
def test_coordinates_lie_near_the_region_and_in_the_country(row):
    region = REGIONS[row["region"]]
    label = float(region["latitude"]), float(region["longitude"])
    assert distance_km((row["latitude"], row["longitude"]), label) <= 300
    shape = next(s for s in MAP["shapes"] if s["iso2"] == row["country"])
    around = [(dx / 10, dy / 10) for dx in (-2, 0, 2) for dy in (-2, 0, 2)]  # simplified coast
    assert any(inside(row["longitude"] + dx, row["latitude"] + dy, shape["rings"]) for dx, dy in around)


@pytest.mark.parametrize("slug", ORGANISATIONS)
def test_organisation(slug):
    row = ORGANISATIONS[slug]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert row.get("country", "IN") in COUNTRIES
    for key in ("merged_into", "predecessor", "parent"):
        assert row.get(key, slug) in ORGANISATIONS
    assert not set(row.get("members", [])) - set(ORGANISATIONS)
    assert not set(row.get("areas", [])) - set(AREAS)


@pytest.mark.parametrize("key", INTERVENTIONS)
def test_intervention(key):
    row = INTERVENTIONS[key]
    assert row["is_real"] is True
    assert not set(row["clusters"] + row["groups"]) - set(CODES)
    assert ("lead" in row) != ("lead_text" in row)
    assert not {row["lead"], *row["partners"]} - set(ORGANISATIONS) if "lead" in row else True
    assert not set(row["partners"]) - set(ORGANISATIONS)
    assert not set(row["types"]) - set(TYPES)
    assert not set(row["areas"]) - set(AREAS)
    assert set(row["countries"]) <= set(COUNTRIES)
    assert row.get("parent", key) in INTERVENTIONS
    assert row["kind"] in {"soft", "hard", "soft+hard", "in-kind", "policy", "programme", "tranche"}
    assert ("amount" in row) == ("currency" in row)
    if "amount" in row:
        assert re.fullmatch(r"\d+\.\d\d", row["amount"])
        assert Decimal(row["amount"]) > 0
        assert row["currency"] in {c["currency"] for c in COUNTRIES.values()}
        assert row["amount_text"]
    for moment in (row.get("start"), row.get("end")):
        check_moment(moment)


def check_moment(moment):
    if moment is None or moment["precision"] == "unknown":
        assert moment is None or "value" not in moment
        return
    assert moment["text"]
    assert moment["precision"] in {
        *("year", "month", "mid-year", "decade", "early-decade"),
        *("days", "years", "end-of-year"),
    }
    assert moment["earliest"] <= moment["latest"]
    assert moment["earliest"][:4] <= moment["value"][:4] <= moment["latest"][:4]


def test_dates_keep_the_precision_printed():
    assert INTERVENTIONS["SF-I01"]["start"]["precision"] == "mid-year"
    assert INTERVENTIONS["SF-I02"]["end"]["precision"] == "month"
    assert "value" not in INTERVENTIONS["SF-I06"]["end"]
    for moment in load("dates")["date"]:
        check_moment(moment)


def test_amounts_of_the_sources():
    amounts = {k: Decimal(r["amount"]) for k, r in INTERVENTIONS.items() if "amount" in r}
    assert amounts == {
        "SF-I01": 235_000,
        "SF-I03": 211_000,
        "SF-I03a": 70_000,
        "SF-I03b": 50_000,
        "SF-I06": 6_000_000,
        "SF-I06a": 286_000_000,
        "SF-I12": 400_000_000,
        "SF-I17": 557_000_000,
        "SF-I19": 300_000,
    }
    assert INTERVENTIONS["SF-I19"]["amount_per"] == "town"
    assert "amount" not in INTERVENTIONS["SF-I16"]  # a share of cost is no amount


def test_the_korean_amount_is_suspect_and_no_amount():
    row = INTERVENTIONS["SF-I21"]
    assert row["suspect"] is True
    assert row["suspect_reason"]
    assert "amount" not in row and "currency" not in row
    assert [k for k, r in INTERVENTIONS.items() if r.get("suspect")] == ["SF-I21"]
    figures = [f for f in FIGURES.values() if f.get("suspect")]
    assert [f["value_text"] for f in figures] == ["280 Bn"]
    assert "value" not in figures[0]


def test_figures():
    for row in FIGURES.values():
        assert row["value_text"] and row["unit"] and row["what"]
        if "value" in row:
            assert Decimal(row["value"]) == Decimal(row["value_text"].replace(",", ""))
    without = {f["value_text"] for f in FIGURES.values() if "value" not in f}
    assert without == {"1/3 – 1/2", "280 Bn", "6–8", "12 + 5", "51 / 35 / 17", "3 → 18"}


def test_types_and_areas():
    for row in TYPES.values():
        assert row["kind"] in {"soft", "hard"}
        assert row["areas"] and not set(row["areas"]) - set(AREAS)


def test_zones_are_marked_as_approximate():
    for row in ZONES.values():
        assert row["caveat"] == "approximate; to be verified"
        assert row["accuracy_km"] in {10, 30}
        assert row["disputed"] == (REGIONS[row["region"]]["disputed"] == "yes")
    assert {s for s, r in ZONES.items() if r["disputed"]} == ZONES_IN_DISPUTED_REGIONS


def test_states_with_initiatives():
    for row in load("policy")["state_with_initiative"]:
        assert REGIONS[row["region"]]["country"] == "IN"


# --- sources, persons, paths ------------------------------------------------------------------


@pytest.mark.parametrize("record", RECORDS)
def test_every_record_has_a_known_source(record):
    known = FOUNDING | {b["code"] for b in SOURCES["basis"]}
    assert record["sources"]
    assert not set(record["sources"]) - known
    assert len(set(record["sources"])) == len(record["sources"])


def test_founding_facts_rest_on_founding_documents():
    for row in [*CODES.values(), *ORGANISATIONS.values(), *INTERVENTIONS.values(), *FIGURES.values()]:
        assert set(row["sources"]) <= FOUNDING


TEXTS = [
    p for folder in (SEED, REFERENCE, BASEMAP) for p in sorted(folder.iterdir()) if p.name != "demo_deflators.csv"
] + [ROOT / "NOTICE"]


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_no_file_name_of_a_source_and_no_machine_path(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b00\d_[0-9a-f]{6,}", text)
    assert not re.search(r"\w\.txt\b", text)
    assert not re.search(r"(?<![\w.:/])/(work|home|tmp|root|Users|mnt)/", text)


HONORIFIC = re.compile(r"\b(Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Engr|Shri|Smt|Sri|Syed|Sir|Madam)\b\.?\s+[A-Z]")
CONTACT = re.compile(r"[\w.+-]+@[\w-]+\.\w+|\+\d{2}[\d\s-]{7,}")
ROLE_WITH_NAME = re.compile(
    r"\b(written by|author|presenter|presented by|director|secretary|chairman|minister)\s*:?\s+"
    r"[A-Z][a-z]+\s+[A-Z][a-z]+\b(?!\s*(Institute|Commission|Bank|Centre))"
)


@pytest.mark.parametrize("path", SEED_FILES, ids=lambda p: p.name)
def test_no_person(path):
    text = path.read_text(encoding="utf-8")
    assert not HONORIFIC.search(text)
    assert not CONTACT.search(text)
    assert not ROLE_WITH_NAME.search(text)
    for rows in tomllib.loads(text).values():
        for row in rows:
            assert not {"person", "author", "contact", "email", "phone"} & set(row)


# --- reference tables -------------------------------------------------------------------------


def test_countries():
    assert len(COUNTRIES) == 249
    by(list(COUNTRIES.values()), "iso3")
    assert COUNTRIES["PK"]["currency"] == "PKR"
    assert COUNTRIES["BT"]["currency"] == "BTN"
    assert COUNTRIES["NA"]["name"] == "Namibia"  # not "missing"
    blank = {k for k, r in COUNTRIES.items() if not r["currency"]}
    assert blank == {"AQ", "GS", "PS"}
    for row in COUNTRIES.values():
        for code in [row["currency"], *row["other_currencies"].split()]:
            assert re.fullmatch(r"[A-Z]{3}|", code)


def test_regions():
    assert {r["country"] for r in REGIONS.values()} == COUNTRIES_WITH_REGIONS
    by(list(REGIONS.values()), "code")
    first = [r for r in REGIONS.values() if r["level"] == "1"]
    assert not [k for k, n in Counter((r["country"], r["name"]) for r in first).items() if n > 1]
    points = Counter((r["latitude"], r["longitude"]) for r in REGIONS.values())
    assert not [k for k, n in points.items() if n > 1]
    for code, row in REGIONS.items():
        assert code.startswith(row["country"] + "-")
        assert row["name"] == row["name"].strip() != ""
        assert row["level"] in {"1", "2"}
        assert (row["level"] == "2") == bool(row["parent"])
        if row["parent"]:
            assert REGIONS[row["parent"]]["level"] == "1"
            assert REGIONS[row["parent"]]["country"] == row["country"]
        assert -90 <= float(row["latitude"]) <= 90
        assert -180 <= float(row["longitude"]) <= 180
    disputed = {c for c, r in REGIONS.items() if r["disputed"] == "yes"}
    assert disputed == {"IN-JK", "IN-LA", "PK-GB", "PK-JK"}
    assert not disputed & {r.get("region") for r in CODES.values()}


def test_level_2_regions_lie_near_their_parent():
    for row in REGIONS.values():
        if row["parent"]:
            parent = REGIONS[row["parent"]]
            here, there = ((float(r["latitude"]), float(r["longitude"])) for r in (row, parent))
            assert distance_km(here, there) < 200, row["code"]


def test_isic():
    assert Counter(r["level"] for r in ISIC.values()) == {"1": 21, "2": 88, "3": 84, "4": 175}
    for code, row in ISIC.items():
        assert row["title"]
        if row["level"] == "1":
            assert row["parent"] == "" and row["section"] == code
            continue
        parent = ISIC[row["parent"]]
        assert int(parent["level"]) == int(row["level"]) - 1
        assert parent["section"] == row["section"]
        if row["level"] != "2":
            assert code.startswith(row["parent"])


def test_hs():
    chapters = {c for c, r in HS.items() if not r["parent"]}
    assert len(chapters) == 97
    assert len(HS) == 97 + 1229
    for code, row in HS.items():
        assert row["title"]
        assert len(code) == (4 if row["parent"] else 2)
        if row["parent"]:
            assert row["parent"] in chapters and code.startswith(row["parent"])


@pytest.mark.parametrize(("name", "value"), [("cpi", "inflation_pct"), ("ppp", "lcu_per_intl_dollar")])
def test_economics(name, value):
    rows = table(name)
    assert not [k for k, n in Counter((r["country"], r["year"]) for r in rows).items() if n > 1]
    assert {r["country"] for r in rows} == COUNTRIES_WITH_REGIONS
    for row in rows:
        assert COUNTRIES[row["country"]]["iso3"] == row["iso3"]
        assert 2000 <= int(row["year"]) <= 2025
        assert Decimal(row[value]) > (0 if name == "ppp" else -50)


# --- base map ---------------------------------------------------------------------------------


def test_basemap_is_small_and_covers_the_window():
    assert MAP["window"] == [58, -12, 150, 56]
    shapes = by(MAP["shapes"], "iso2")
    assert (COUNTRIES_WITH_REGIONS - {"BR"}) <= set(shapes)
    for iso2 in shapes:
        assert iso2 in COUNTRIES

    def pen(points):
        return "M" + "L".join(f"{(x - 58) * 10:.1f} {(56 - y) * 10:.1f}" for x, y in points)

    paths = ["".join(pen(r) + "Z" for r in s["rings"]) for s in MAP["shapes"]]
    lines = [pen(x["points"]) for x in MAP["lines"]]
    assert sum(map(len, paths + lines)) <= 42 * 1024  # with ".0" written out
    compact = [p.replace(".0 ", " ").replace(".0L", "L").replace(".0Z", "Z") for p in paths + lines]
    assert sum(map(len, compact)) <= 40 * 1024


def test_disputed_lines_of_jammu_and_kashmir():
    dotted = [line for line in MAP["lines"] if line["kind"] == "disputed"]
    assert {tuple(line["between"]) for line in dotted} == {
        *[("IN", "PK"), ("CN", "IN"), ("CN", "PK")],
        *[("IN",), ("PK",), ("CN",)],  # the edge of the unassigned gap
    }
    for line in dotted:
        for lon, lat in line["points"]:
            assert 72.5 <= lon <= 80.5 and 32.3 <= lat <= 37.3
    (gap,) = MAP["unassigned"]
    assert inside(77.1, 35.4, gap["rings"])
    assert not [s for s in MAP["shapes"] if inside(77.1, 35.4, s["rings"])]
