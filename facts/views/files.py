"""Files of returns: the template to fill in, the file that was sent, what it would do, and its confirmation."""

import csv
import io

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.generic import TemplateView, View

from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.forms import UploadForm
from facts.intake.limits import MAX_BYTES
from facts.models import Round, Upload
from facts.services import uploads
from facts.services.instruments import definition
from facts.services.template_writers import guarded
from facts.services.templates import ENDINGS, template_file, templates_for

SHOWN_MAX = 200  # lines of a report on the page
TOO_LARGE = "The file is larger than 10 MB. Send it in parts."
EXPLAIN_MAX = 12
LATEST = 5
ACTS = {"new": "new draft", "changed": "changes a draft", "same": "no change"}
REPORT_HEAD = ["place", "respondent", "column", "value", "what is wrong", "what would do", "rule"]


class TemplateFile(PolicyMixin, View):
    """A file to fill in, for a cluster of one's own."""

    action = "return.create"

    def get(self, request):
        asked, ending = request.GET, f".{request.GET.get('format', 'xlsx')}"
        round_ = Round.objects.select_related("instrument").filter(year=_whole(asked.get("round"))).first()
        wanted = (asked.get("schedule", "").upper(), asked.get("cluster", ""))
        if round_ is None or ending not in ENDINGS:
            raise Http404
        offered = templates_for(request.user, round_)
        cluster = next((one["cluster"] for one in offered if (one["schedule"], one["cluster"].code) == wanted), None)
        if cluster is None:
            raise Http404
        content = template_file(wanted[0], round_=round_, cluster=cluster, ending=ending, by=request.user)
        name = f"facts-{round_.year}-{wanted[0].lower()}-{cluster.code.lower()}{ending}"
        return _attachment(content, ENDINGS[ending], name)


def _whole(text) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else 0


def _attachment(content: bytes, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


class ImportPage(PolicyMixin, TemplateView):
    """Send a file. What it would do is shown on a page of its own, before anything is kept."""

    action = "return.create"
    template_name = "facts/import.html"

    def get_context_data(self, **kwargs):
        rounds = list(Round.objects.open().select_related("instrument").order_by("-year"))
        mine = (
            Upload.objects.filter(by=self.request.user).exclude(counts__has_key="wiped").select_related("round", "job")
        )
        return super().get_context_data(**kwargs) | {
            "form": kwargs.get("form") or UploadForm(),
            "rounds": rounds,
            "round": rounds[0] if rounds else None,
            "templates": templates_for(self.request.user, rounds[0]) if rounds else [],
            "latest": list(mine.exclude(state=Upload.State.EXPIRED)[:LATEST]),
        }

    def post(self, request):
        form = UploadForm(request.POST, request.FILES)
        if not request.FILES and _sent(request) > MAX_BYTES:
            # A file beyond the limit is let go while it arrives; the form then believes that none came.
            form.full_clean()
            form.errors.pop("file", None)
            form.add_error("file", TOO_LARGE)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form))
        file = form.cleaned_data["file"]
        if file.size > MAX_BYTES:
            form.add_error("file", TOO_LARGE)
            return self.render_to_response(self.get_context_data(form=form))
        upload = uploads.receive(
            file.read(),
            file.name[:80],
            round_=form.cleaned_data["round"],
            scale=form.cleaned_data["scale"],
            by=request.user,
        )
        return redirect("facts:upload", upload.pk)


def _sent(request) -> int:
    """How many bytes the request says it has."""
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


class OwnUpload(PolicyMixin):
    """A file of one's own; to everybody else it does not exist."""

    action = "upload.read"

    def upload(self) -> Upload:
        mine = Upload.objects.filter(by=self.request.user).select_related("round__instrument", "job")
        return self.fetch(mine, pk=self.kwargs["pk"])


class UploadPage(OwnUpload, TemplateView):
    """What a file would do, or did; and its confirmation, which names the digest of the file that was shown."""

    template_name = "facts/upload.html"

    def get_context_data(self, **kwargs):
        upload = self.upload()
        report = uploads.report_of(upload)
        job = upload.job
        part = definition(upload.round.instrument.version).schedules.get(upload.schedule)
        is_working = bool(job and job.is_open)
        context = super().get_context_data(**kwargs) | {
            "upload": upload,
            "job": job,
            "is_working": is_working,
            "has_failed": bool(job and job.state in ("failed", "dead")),
            "counts": upload.counts,
            "deeds": _deeds(upload),
            "kept_for": int(uploads.KEPT_FOR.total_seconds() // 3600),
        }
        if report is None or is_working:
            return context
        return context | {
            "report": report,
            "rows": [
                dict(zip(("place", "subject", "given", "answered", "asked", "act"), row, strict=True))
                | {"act": ACTS.get(row[5], ""), "is_same": row[5] == uploads.SAME}
                for row in report.rows[:SHOWN_MAX]
            ],
            "rows_more": max(0, len(report.rows) - SHOWN_MAX),
            "totals": _totals(report.totals, part) if part else [],
            "refused": [_line(entry) for entry in report.refused[:SHOWN_MAX]],
            "refused_more": max(0, upload.counts.get("refused", 0) - SHOWN_MAX),
            "to_explain": [_line(entry) for entry in report.open_points if _is_soft(entry)][:EXPLAIN_MAX],
        }

    def post(self, request, pk):
        upload = self.upload()
        if "discard" in request.POST:
            uploads.discard(upload, by=request.user)
            messages.success(request, f"{upload.name} was taken away. Nothing of it is kept.")
            return redirect("facts:import")
        try:
            uploads.confirm(upload, request.POST.get("digest", ""), by=request.user)
        except DomainError as refusal:
            messages.error(request, str(refusal))
        return redirect("facts:upload", upload.pk)


class UploadProgress(OwnUpload, View):
    """How far the reading or the import is, for `components/progress.html`."""

    def get(self, request, pk):
        job = self.upload().job
        done = not (job and job.is_open)
        stage, percent = (job.stage, job.percent if job.total else None) if job else ("", None)
        response = JsonResponse({"done": done, "stage": stage, "percent": percent, "left": ""})
        response["Cache-Control"] = "no-store"
        return response


class UploadErrors(OwnUpload, View):
    """Everything that is wrong with a file, or still open in it, as CSV to work through."""

    def get(self, request, pk):
        upload = self.upload()
        report = uploads.report_of(upload)
        if report is None:
            raise Http404
        stream = io.StringIO(newline="")
        writer = csv.writer(stream)
        writer.writerow(REPORT_HEAD)
        writer.writerows([guarded(cell) for cell in entry] for entry in report.refused or report.open_points)
        return _attachment(
            b"\xef\xbb\xbf" + stream.getvalue().encode(),
            "text/csv; charset=utf-8",
            f"facts-file-{upload.pk}-to-mend.csv",
        )


def _deeds(upload: Upload) -> str:
    """What a file would do, or did, in words; what it does not do is not told."""
    made, changed, same = (upload.counts.get(name, 0) for name in ("created", "updated", "unchanged"))
    if upload.state == Upload.State.IMPORTED:
        parts = [(made, "made"), (changed, "changed"), (same, "as before")]
        told = [f"{count:,} draft{'s' if count != 1 else ''} {word}" for count, word in parts if count]
    else:
        told = [f"make {made:,} new draft{'s' if made != 1 else ''}"] if made else []
        told += [f"change {changed:,} draft{'s' if changed != 1 else ''}"] if changed else []
        told += [f"leave {same:,} as {'they are' if same != 1 else 'it is'}"] if same else []
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def _is_soft(entry: list) -> bool:
    return not entry[6].endswith("-required")


def _line(entry: list) -> dict:
    return dict(zip(("place", "subject", "column", "value", "message", "mend", "rule"), entry, strict=True))


def _totals(totals: dict[str, list], part) -> list[dict]:
    """Sums of the amounts in a file, to hold against the sender's own; in the order of the questions."""
    return [
        {"code": code, "short": question.short, "unit": question.unit}
        | {"rows": totals[code][0], "sum": round(totals[code][1], 2)}
        for code, question in part.questions.items()
        if code in totals
    ]
