from django.db import migrations, models


def _last_choices(apps, returns):
    """The last word of each return's unit on sharing, by return id."""
    Event = apps.get_model("audit", "Event")
    found = {}
    for ret in returns:
        events = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk))
        events = events.filter(action__in=["return.shared", "return.sealed"]).order_by("-seq")
        found[ret.pk] = events.values_list("action", flat=True).first()
    return found


def reading_only(apps, schema_editor):
    """What units shared so far made the association its collector, who writes; from here on it reads."""
    Return, UnitLink = apps.get_model("facts", "Return"), apps.get_model("facts", "UnitLink")
    opened = UnitLink.objects.filter(used_at__isnull=False)
    returns = Return.objects.filter(schedule="UNIT", collector__isnull=False, unit__in=opened.values("unit"))
    choices = _last_choices(apps, returns)
    for ret in returns:
        if choices[ret.pk] == "return.shared":
            Return.objects.filter(pk=ret.pk).update(shared_with=ret.collector_id, collector=None)


def writing_again(apps, schema_editor):
    Return = apps.get_model("facts", "Return")
    Return.objects.filter(shared_with__isnull=False).update(collector=models.F("shared_with"))


class Migration(migrations.Migration):
    dependencies = [
        ("facts", "0008_returns_shared_with"),
        ("audit", "0002_keep_events"),
    ]

    operations = [migrations.RunPython(reading_only, writing_again)]
