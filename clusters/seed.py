"""Load the ground: reference registers and the real facts of the founding documents. Safe to run again."""

import csv
import tomllib
from pathlib import Path

from django.conf import settings
from django.db import transaction

from .models import (
    AreaOfWork,
    Cluster,
    ClusterAlias,
    Country,
    Organisation,
    OrganisationAlias,
    Product,
    Region,
    Sector,
    Source,
    Zone,
)

REFERENCE = settings.BASE_DIR / "fixtures" / "reference"
SEED = settings.BASE_DIR / "fixtures" / "seed"


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_toml(name: str) -> dict:
    with (SEED / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


def number(text: str) -> float | None:
    return float(text) if text else None


def upsert(model, rows: list, key: str, *fields: str) -> None:
    """Insert rows, or bring the named fields of existing ones up to date."""
    model.objects.bulk_create(
        rows, batch_size=500, update_conflicts=True, unique_fields=[key], update_fields=list(fields)
    )


@transaction.atomic
def load_reference() -> None:
    """Countries, ISO 3166-2 regions, ISIC Rev.4, HS 2022 chapters and headings."""
    countries = [
        Country(code=r["iso2"], iso3=r["iso3"], name=r["name"], currency=r["currency"])
        for r in read_csv(REFERENCE / "countries.csv")
    ]
    upsert(Country, countries, "code", "iso3", "name", "currency")
    regions = [
        Region(
            code=r["code"],
            country_id=r["country"],
            name=r["name"],
            type=r["type"],
            level=int(r["level"]),
            is_disputed=r["disputed"] == "yes",
            latitude=number(r["latitude"]),
            longitude=number(r["longitude"]),
            note=r["note"],
        )
        for r in read_csv(REFERENCE / "regions.csv")
    ]
    upsert(
        Region,
        regions,
        "code",
        "country",
        "name",
        "type",
        "level",
        "is_disputed",
        "latitude",
        "longitude",
        "note",
    )
    rows = sorted(read_csv(REFERENCE / "isic4.csv"), key=lambda r: int(r["level"]))
    sectors = [
        Sector(code=r["code"], level=int(r["level"]), parent_id=r["parent"] or None, title=r["title"]) for r in rows
    ]
    upsert(Sector, sectors, "code", "level", "parent", "title")
    rows = sorted(read_csv(REFERENCE / "hs2022.csv"), key=lambda r: len(r["code"]))
    products = [Product(code=r["code"], parent_id=r["parent"] or None, title=r["title"][:400]) for r in rows]
    upsert(Product, products, "code", "parent", "title")


@transaction.atomic
def load_seed() -> None:
    """Sources, areas of work, organisations with the matrix, clusters, zones."""
    sources = read_toml("sources")
    rows = [
        Source(
            code=s["code"],
            citation=s["citation"],
            publisher=s.get("publisher", ""),
            year=s.get("year"),
            note=s.get("about", s.get("note", "")),
        )
        for s in sources["source"] + sources["basis"]
    ]
    upsert(Source, rows, "code", "citation", "publisher", "year", "note")
    areas = [
        AreaOfWork(code=a["code"], name=a["name"], position=a["order"]) for a in read_toml("areas_of_work")["area"]
    ]
    upsert(AreaOfWork, areas, "code", "name", "position")
    _load_organisations()
    for entry in (data := read_toml("clusters"))["cluster"]:
        _load_cluster(entry, Cluster.Kind.CLUSTER)
    for entry in data["group"]:
        _load_cluster(entry, Cluster.Kind.GROUP)
    for entry in read_toml("zones")["zone"]:
        zone, _ = Zone.objects.update_or_create(
            slug=entry["slug"],
            defaults={
                "name": entry["name"],
                "region_id": entry["region"],
                "place": entry["place"],
                "latitude": entry["latitude"],
                "longitude": entry["longitude"],
                "area_acres": entry.get("area_text", ""),
                "sectors": ", ".join(entry["sectors"]),
                "basis": entry["basis"],
                "caveat": entry["caveat"],
            },
        )
        zone.sources.set(entry["sources"])


def _load_organisations() -> None:
    entries = read_toml("organisations")["organisation"]
    position = 0
    for entry in entries:
        in_matrix = "areas" in entry
        position += in_matrix
        organisation, _ = Organisation.objects.update_or_create(
            slug=entry["slug"],
            defaults={
                "name": entry["name"],
                "short_name": entry.get("short", ""),
                "kind": entry["kind"],
                "group": entry.get("group", ""),
                "country_id": entry.get("country") or None,
                "role": entry.get("role", ""),
                "position": position if in_matrix else 0,
            },
        )
        organisation.areas.set(entry.get("areas", []))
        organisation.sources.set(entry["sources"])
        for alias in {*entry["aliases"], entry.get("matrix_name", entry["name"])} - {entry["name"]}:
            OrganisationAlias.objects.get_or_create(organisation=organisation, name=alias)
    ids = dict(Organisation.objects.values_list("slug", "pk"))
    for entry in entries:
        if entry.get("merged_into"):
            Organisation.objects.filter(slug=entry["slug"]).update(merged_into=ids[entry["merged_into"]])


def _load_cluster(entry: dict, kind: str) -> None:
    """Enter a cluster, or bring the source's facts up to date; sectors, products, sources added by staff stay."""
    isic = entry.get("isic4_class") or entry.get("isic4_division")
    has_point = entry.get("latitude") is not None
    cluster, _ = Cluster.objects.update_or_create(
        code=entry["code"],
        defaults={
            "name": entry["name"],
            "kind": kind,
            "country_id": entry["country"],
            "region_id": entry.get("region") or None,
            "place": entry.get("place_used", ""),
            "place_in_source": entry.get("place_in_source", ""),
            "place_basis": entry.get("place_basis", "none"),
            "latitude": entry["latitude"] if has_point else None,
            "longitude": entry["longitude"] if has_point else None,
            "sector_id": isic,
            "summary": entry["source_says"],
        },
    )
    cluster.other_sectors.add(*entry.get("isic4_other", []))
    cluster.products.add(*(entry.get("hs_headings", []) + entry.get("hs_chapters", [])))
    cluster.sources.add(*entry["sources"])
    for alias in entry["aliases"]:
        ClusterAlias.objects.get_or_create(cluster=cluster, name=alias)
