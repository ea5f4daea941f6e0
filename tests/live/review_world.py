"""What stands behind the review walk: `python -m tests.live.review_world`. Prints ids as JSON."""

import json
import os
import sys

import django


def build() -> dict:
    """A town with twelve accepted returns, three that wait, a question on each of two, and one wish to open again."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)

    from facts.models import Flag, Return, Schedule
    from facts.services.imports import Row, save_drafts
    from facts.services.queries import ask
    from facts.services.reopening import ask_reopening
    from facts.services.review import accept
    from facts.services.submission import submit
    from tests.factories import Town, person, seen_by_checks
    from tests.facts.valid_returns import RETURNS

    town = Town(units=15)
    analyst, second = person("analyst"), person("supervisor", town.agency)
    for user, name in (
        (town.entry, "entry"),
        (town.head, "head"),
        (town.supervisor, "supervisor"),
        (second, "second"),
        (analyst, "analyst"),
    ):
        user.username = f"demo-{name}"  # demonstration accounts need no second factor
        user.set_password(os.environ["DEMO_PASSWORD"])
        user.save()
    rows = [
        Row(unit.frame_id, RETURNS["UNIT"] | {"UC01": 9_000_000 + 250_000 * number}, "row")
        for number, unit in enumerate(town.units)
    ]
    outcome = save_drafts(
        round_=town.round, schedule_code=Schedule.UNIT, rows=rows, by=town.entry, channel="web", keep_failing=True
    )
    assert not outcome.refused, [str(problem) for problem in outcome.refused]
    returns = sorted(outcome.returns, key=lambda ret: ret.subject)
    submit(returns, by=town.head, certified_name="A. Head")
    seen_by_checks(*returns)  # firms as equal as these would be held as duplicates
    accepted, waiting = returns[:12], returns[12:]
    accept(accepted, by=town.supervisor)
    Flag.objects.create(ret=waiting[0], version=1, rule="X01", severity="critical", question="UC01", score=30)
    Return.objects.filter(pk=waiting[0].pk).update(suspicion=9.0, effect=1.5)
    for ret in waiting[:2]:
        ask(ret, by=town.supervisor, question="UC01", text="Is the subsidy part of these sales?")
    ask_reopening(accepted[0], by=town.supervisor, reason="The firm found a second order book.")
    return {
        "waiting": [ret.pk for ret in waiting],
        "accepted": [ret.pk for ret in accepted],
        "cluster": town.cluster.code,
        "query": waiting[0].queries.get().pk,
    }


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")
    django.setup()
    sys.stdout.write(json.dumps(build()) + "\n")
