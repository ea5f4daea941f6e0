"""Everything held on one unit, as one file for the unit itself or for the association that typed its returns.

What was handed in over the unit's own link is sealed from the association: its file holds only returns that it typed
itself. A link opens the return that it names and no other, so its file holds this round; older rounds of the unit are
asked for at the cluster cell, because a link can be made anew by somebody else and must not open what came before.
"""

import json
from typing import Any

from django.db import transaction
from django.utils import timezone

from core import policy
from core.audit.models import Event, record_many
from core.base import DomainError
from facts.models import Return, Schedule
from facts.vault import store

from .chain import chain_of
from .collectors import is_link_holder
from .findings import schedule_of
from .flags import flags_in_words
from .opening import ACTS, in_words
from .queries import queries_of
from .reading import notes_of

FORMAT = "cluster-observatory-unit-export/1"
PURPOSE = "everything held on the unit, as a file"


@transaction.atomic
def everything_on(ret: Return, *, by) -> dict[str, Any]:
    """Return what is held on the unit of a return, as plain data; the opening is an event on each return.

    identity : name, address and numbers, empty where none is kept. returns : newest round first, each with state, the
    working draft (None where it is handed in), every version with its digest and answers as stored (money in whole
    currency units, shares in [0, 1] or per cent as the questionnaire says), questions asked on values, sentences of the
    checks, reviewers' words, and who opened it. Opinions that nobody reads of one firm: in the unit's own file only.
    Raises PermissionDenied for a return out of the person's scope.
    """
    policy.require(by, "return.export_all", ret)
    if ret.schedule != Schedule.UNIT or ret.unit_id is None:
        raise DomainError("Only a unit return leads to a unit; choose one of those.")
    rows = Return.objects.filter(schedule=Schedule.UNIT, unit=ret.unit_id)
    related = ("round__instrument", "cluster__country", "unit", "collector", "organisation", "region")
    returns = list(policy.scope(by, "return.export_all", rows).select_related(*related).order_by("-round__year"))
    entries: list[tuple] = [("unit.identity", ret, {"purpose": PURPOSE, "count": 1})]
    entries += [("return.open", one, {"purpose": PURPOSE}) for one in returns]
    record_many(entries, by=by)
    is_unit = is_link_holder(by)
    others = rows.exclude(pk__in=[one.pk for one in returns]).order_by("round__year")
    return {
        "format": FORMAT,
        "made_at": timezone.now().isoformat(timespec="seconds"),
        "unit": {
            "number": ret.unit.frame_id,
            "cluster": ret.cluster.code if ret.cluster else "",
            "sector": ret.unit.sector_id or "",
            "registered": ret.unit.registered,
            "member": ret.unit.member,
            "start_year": ret.unit.start_year,
        },
        "identity": store.open_identities([ret.unit_id]).get(ret.unit_id, {}),
        "returns": [_whole(one, by=by, is_unit=is_unit) for one in returns],
        "not_in_this_file": [f"round {year}" for year in others.values_list("round__year", flat=True)],
    }


def _whole(ret: Return, *, by, is_unit: bool) -> dict[str, Any]:
    versions, last = [], None
    for one in chain_of(ret):
        last = store.open_answers([(ret.pk, one["number"])])[ret.pk]
        at = one["submitted_at"]
        versions.append(
            {
                "number": one["number"],
                "digest": one["digest"],
                "submitted_at": at.isoformat(timespec="seconds") if at else None,
                "by": one["by_role"],
                "opened_again": one["why"],
                "content": _readable(ret, last, is_unit),
            }
        )
    draft = store.open_answers([(ret.pk, 0)]).get(ret.pk) if ret.is_editable else None
    events = Event.objects.filter(object_type="facts.return", object_id=str(ret.pk), action__in=ACTS).order_by("seq")
    return {
        "round": ret.round.year,
        "state": ret.state,
        "instrument": ret.round.instrument.version,
        "currency": ret.currency,
        "channel": ret.channel,
        "collected_by": ret.collector.name if ret.collector else "",
        "draft": _readable(ret, draft, is_unit) if draft else None,
        "versions": versions,
        "questions": [
            {
                "question": one["question"],
                "state": one["state"],
                "due_on": one["due_on"].isoformat(),
                "words": [{"by": w["by"], "at": w["at"].isoformat(), "text": w["text"]} for w in one["thread"]],
            }
            for one in queries_of(ret, for_user=by)
        ],
        "checks": [
            {"rule": one["rule"], "question": one["question"], "sentence": one["sentence"], "state": one["resolution"]}
            for one in flags_in_words(ret, last, for_respondent=True)
        ],
        "reviewers_words": [
            {"version": one["version"], "at": one["at"].isoformat(), "text": one["text"]} for one in notes_of(ret)
        ],
        "openings": [
            {"at": one.at.isoformat(timespec="seconds"), "by": one.who, "act": one.act, "why": one.why}
            for one in in_words(events, by=by)
        ],
    }


def _readable(ret: Return, payload: dict, is_unit: bool) -> dict:
    """The payload as stored; for the association without the opinions that are the unit's own."""
    if is_unit:
        return payload
    kept = {code for code, question in schedule_of(ret).questions.items() if not question.shown_at_unit_level}
    return {
        part: {code: one for code, one in held.items() if code not in kept}
        if isinstance(held, dict)
        else [code for code in held if code not in kept]
        if isinstance(held, list)
        else held
        for part, held in payload.items()
    }


def file_of(ret: Return, *, by) -> bytes:
    """The same as JSON in UTF-8."""
    return json.dumps(everything_on(ret, by=by), ensure_ascii=False, indent=1).encode()
