"""What stands behind the entry walk: `python -m tests.live.entry_world`. Prints the ids of the returns as JSON."""

import datetime as dt
import json
import os
import sys

import django


def build() -> dict:
    """A town with last round's accepted returns and this round's drafts, in a migrated database."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)

    from clusters.models import Sector
    from facts.models import FrameEntry, Return, Schedule
    from facts.services.imports import Row, save_drafts
    from facts.services.submission import submit
    from tests.factories import Town, open_round
    from tests.facts.valid_returns import RETURNS

    Sector.objects.get_or_create(code="1410", defaults={"level": 4, "title": "Manufacture of wearing apparel"})
    today = dt.date.today()
    open_round(2026, opens_on=today - dt.timedelta(days=9), closes_on=today + dt.timedelta(days=90))
    last = open_round(2025, opens_on=today - dt.timedelta(days=9), closes_on=today + dt.timedelta(days=90))
    town = Town(units=6)
    for user, name in ((town.entry, "entry"), (town.head, "head")):
        user.username = f"demo-{name}"  # demonstration accounts need no second factor
        user.set_password(os.environ["DEMO_PASSWORD"])
        user.save()
    FrameEntry.objects.bulk_create(
        [FrameEntry(round=last, unit=unit, cluster=town.cluster, size=1, prior_employment=5) for unit in town.units]
    )

    def drafts(round_, schedule, rows, **more):
        outcome = save_drafts(
            round_=round_, schedule_code=schedule, rows=rows, by=town.entry, channel="web", keep_failing=True, **more
        )
        assert not outcome.refused, [str(problem) for problem in outcome.refused]
        return outcome.returns

    answers = RETURNS["UNIT"]
    earlier = drafts(last, Schedule.UNIT, [Row(unit.frame_id, answers, "row") for unit in town.units])
    submit(earlier, by=town.head, certified_name="A. Head")
    Return.objects.filter(pk__in=[ret.pk for ret in earlier]).update(state="locked")
    last.state = "closed"
    last.save()
    part = {code: value for code, value in answers.items() if not code.startswith(("UC", "UB"))}
    made = drafts(town.round, Schedule.UNIT, [Row(unit.frame_id, part, "row") for unit in town.units])
    return {"units": [ret.pk for ret in made], "subjects": [ret.subject for ret in made]}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")
    django.setup()
    sys.stdout.write(json.dumps(build()) + "\n")
