"""Saving as one types: fields of a return as JSON, answered with what the page needs to be up to date.

POST {revision, scale, answers: {code: text}, was: {code or rule: text}, explanations: {rule: text}, confirmed: [code],
check}. A text is what the field would send: an answer as typed, a marker, or "" for none. 200 also where values were
refused (they are named); 401 signed out, 409 the return takes no answers now, 412 others changed the same fields,
422 the request itself is not understood. GET keeps the session and says how long it lasts.
"""

import json

from django.http import JsonResponse
from django.middleware.csrf import get_token
from django.utils import timezone
from django.views.generic import View

from core.accounts.idle import seconds_left
from core.base import DomainError
from facts.forms import SectionForm, drop_refused, in_words
from facts.services import reading
from facts.services.deadlines import lock_reason
from facts.services.drafts import Clash, Saved, save_fields
from facts.services.findings import schedule_of
from facts.validation import Problem
from facts.validation.reading import shown
from facts.wording import SCALE_WORDS

from .parts import OneReturn, channel_of

MAX_BODY = 200_000  # bytes; a whole return is far below
MAX_TEXT = 4_000


class Autosave(OneReturn, View):
    """Save single fields of a draft while they are typed."""

    action = post_action = "return.write"
    http_method_names = ["get", "post"]

    def dispatch(self, request, *args, **kwargs):
        # Whoever signs in on a page that a colleague left open does not save the colleague's words as their own.
        person = request.headers.get("X-Person", str(request.user.pk))
        if not request.user.is_authenticated or person != str(request.user.pk):
            return JsonResponse({"message": "You are signed out. What you typed is kept on this device."}, status=401)
        return super().dispatch(request, *args, **kwargs)

    def get(self, request, pk):
        ret = self.get_return()
        return JsonResponse(
            {"token": get_token(request), "seconds_left": seconds_left(request), "revision": ret.revision}
        )

    def post(self, request, pk):
        ret = self.get_return()
        sent = _read(request)
        if isinstance(sent, str):
            return JsonResponse({"message": sent}, status=422)
        questions = schedule_of(ret).questions
        raw = {code: text for code, text in sent["answers"].items() if code in questions}
        confirmed = [code for code in sent["confirmed"] if code in raw]
        refused = [_unknown(code) for code in sent["answers"] if code not in questions]
        refused += drop_refused(questions, raw, sent["was"])
        try:
            saved = save_fields(
                ret,
                raw,
                sent["was"],
                by=request.user,
                scale=sent["scale"] or ret.scale,
                explanations=sent["explanations"],
                confirmed=confirmed,
                channel=channel_of(request.user),
            )
        except Clash as clash:
            return JsonResponse(_both(clash), status=412)
        except DomainError as refusal:
            return JsonResponse({"message": lock_reason(ret) or str(refusal)}, status=409)
        saved.refused.extend(refused)
        touched = {*sent["answers"], *(rule.partition("-")[0] for rule in sent["explanations"])}
        return JsonResponse(_answer(saved, touched, sent) | {"seconds_left": seconds_left(request)})


def _read(request) -> dict | str:
    """The request's body with every part in its shape, or what is wrong with it."""
    if len(request.body) > MAX_BODY:
        return "The request is larger than a return can be."
    try:
        body = json.loads(request.body)
    except ValueError:
        return "The request is not JSON."
    if not isinstance(body, dict):
        return "The request is not a JSON object."
    sent: dict = {}
    for name in ("answers", "was", "explanations"):
        part = body.get(name, {})
        if not isinstance(part, dict) or not all(
            isinstance(one, str) and len(one) <= MAX_TEXT for one in part.values()
        ):
            return f"“{name}” must be an object of texts of at most {MAX_TEXT} characters."
        sent[name] = {code: text.strip() for code, text in part.items()}
    confirmed, scale = body.get("confirmed", []), body.get("scale")
    if not isinstance(confirmed, list) or not all(isinstance(one, str) for one in confirmed):
        return "“confirmed” must be a list of question codes."
    if scale is not None and scale not in SCALE_WORDS:
        return f"“scale” must be one of {', '.join(map(str, SCALE_WORDS))}."
    return sent | {"confirmed": confirmed, "scale": scale, "check": bool(body.get("check"))}


def _unknown(code: str) -> Problem:
    message = f"“{shown(code)}” is not a question of this return."
    return Problem(shown(code), "unknown-question", "hard", message, "Load the page anew.")


def _answer(saved: Saved, touched: set[str], sent: dict) -> dict:
    """What changed for the page: the fields of the blocks that were touched, the routing, the state of every block."""
    ret, opened = saved.ret, saved.opened
    sections = [one for one in schedule_of(ret).sections if any(code[:2] == one.code for code in touched)]
    fields = {}
    for section in sections:
        form = SectionForm(opened, section)
        fields |= {one.name: one.state for one in form.fields(mark_missing=sent["check"], with_hidden=True)}
    refused = {problem.question for problem in saved.refused}
    return {
        "revision": ret.revision,
        "scale": ret.scale,
        "saved_at": timezone.now().isoformat(timespec="seconds"),
        "saved": sorted(touched - refused),
        "refused": [
            {"question": problem.question, "message": problem.message, "mend": problem.mend}
            for problem in saved.refused
        ],
        "fields": fields,
        "asked": opened.findings.asked,
        "sections": [
            {
                "code": part.section.code,
                "state": part.state,
                "words": part.words,
                "short": part.short,
                "asked": len(part.asked),
            }
            for part in opened.sections
        ],
        "words": opened.words,
        "minutes": opened.minutes,
        "points": len(opened.points),
    }


def _both(clash: Clash) -> dict:
    """Both values of every field that two people changed, and who saved it."""
    ret = clash.ret
    questions = schedule_of(ret).questions
    by = reading.last_writer(ret, clash.fields)
    conflicts = []
    for code, (mine, theirs) in clash.fields.items():
        question = questions.get(code)
        conflicts.append(
            {
                "question": code,
                "mine": mine,
                "mine_words": in_words(question, mine) if question else mine,
                "theirs": theirs,
                "theirs_words": in_words(question, theirs) if question else theirs,
                "by": by,
            }
        )
    return {"message": str(clash), "conflicts": conflicts, "revision": ret.revision, "scale": ret.scale}
