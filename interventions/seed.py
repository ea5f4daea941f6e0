"""Load the interventions of the founding documents. Safe to run again."""

from datetime import date

from django.db import transaction

from clusters.models import Cluster, Organisation
from clusters.seed import read_toml

from .models import BudgetLine, Intervention, InterventionType


def day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


@transaction.atomic
def load_interventions() -> None:
    """Types and records, with dates and amounts at their printed precision."""
    for entry in read_toml("intervention_types")["type"]:
        kind, _ = InterventionType.objects.update_or_create(
            code=entry["code"], defaults={"name": entry["name"], "kind": entry["kind"]}
        )
        kind.areas.set(entry["areas"])
    clusters = dict(Cluster.objects.values_list("code", "pk"))
    organisations = dict(Organisation.objects.values_list("slug", "pk"))
    entries = read_toml("interventions")["intervention"]
    for entry in entries:
        _load_one(entry, clusters, organisations)
    ids = dict(Intervention.objects.values_list("code", "pk"))
    for entry in entries:
        if entry.get("parent"):
            Intervention.objects.filter(code=entry["id"]).update(parent=ids[entry["parent"]])


def _load_one(entry: dict, clusters: dict, organisations: dict) -> None:
    start, end = entry.get("start", {}), entry.get("end", {})
    record, _ = Intervention.objects.update_or_create(
        code=entry["id"],
        defaults={
            "title": entry["title"],
            "lead_id": organisations[entry["lead"]] if entry.get("lead") else None,
            "lead_text": entry.get("lead_text", ""),
            "partners_text": "; ".join(entry["partners_text"]),
            "starts_on": day(start.get("earliest")),
            "start_precision": start.get("precision", ""),
            "start_text": start.get("text", ""),
            "ends_on": day(end.get("latest")),
            "end_precision": end.get("precision", ""),
            "end_text": end.get("text", ""),
            "kind": entry["kind"],
            "status_then": entry["status_at_the_time"],
            "note": entry.get("note", ""),
        },
    )
    record.clusters.set([clusters[code] for code in [*entry["clusters"], *entry["groups"]]])
    record.partners.set([organisations[slug] for slug in entry["partners"]])
    record.types.set(entry["types"])
    record.areas.set(entry["areas"])
    record.sources.set(entry["sources"])
    record.budget_lines.all().delete()
    if entry.get("amount") or entry.get("amount_text") or entry.get("suspect"):
        BudgetLine.objects.create(
            intervention=record,
            amount=entry.get("amount"),
            currency=entry.get("currency", ""),
            per=entry.get("amount_per", ""),
            as_printed=entry.get("amount_text") or entry.get("suspect_text", ""),
            is_suspect=entry.get("suspect", False),
            note=entry.get("suspect_reason", ""),
        )
