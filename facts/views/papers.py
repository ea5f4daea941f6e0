"""Papers and forms to take away (PDF, XLSForm, receipts), and the way back from the field."""

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpResponse
from django.views.generic import TemplateView, View

from clusters.models import Cluster
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Return, Round, Schedule
from facts.services import field, papers, receipts
from facts.services.deadlines import windows
from facts.services.templates import templates_for

from .benchmarks import BenchmarkSheet

PDF = "application/pdf"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_BYTES = 10_000_000
SHOWN_MAX = 200
ENDINGS = ("xlsx", "pdf")
SHEET_PROMISE = (
    "Private: for this firm and for who typed its return. Peers are never named, and no single firm’s figure is shown. "
    "A quarter of the peers lie below the lower, a quarter above the upper mark; half stay below the middle."
)


def attachment(content: bytes, content_type: str, name: str) -> HttpResponse:
    """A file to keep: never shown inside the page, never taken for another type, never kept by a proxy."""
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response


class BlankForm(PolicyMixin, View):
    """A schedule of a round, to fill in by hand (PDF) or on a phone (XLSForm). Public, as the questions are."""

    action = "instrument.read"

    def get(self, request, year: int, schedule: str, ending: str):
        round_ = Round.objects.select_related("instrument").filter(year=year).first()
        code = schedule.upper()
        if round_ is None or code not in Schedule.values or ending not in ENDINGS:
            raise Http404
        if ending == "xlsx":
            content, name = field.form_file(code, round_)
            return attachment(content, XLSX, name)
        return attachment(papers.form_pdf(code, round_), PDF, f"facts-{year}-{schedule}.pdf")


class FieldForm(PolicyMixin, View):
    """The form for phones of one's own cluster: its respondents can be chosen."""

    action = "return.create"

    def get(self, request):
        asked = request.GET
        year = asked.get("round", "")
        year = int(year) if year.isascii() and year.isdecimal() and len(year) < 6 else 0
        round_ = Round.objects.select_related("instrument").filter(year=year).first()
        cluster = own_cluster(request.user, round_, asked.get("schedule", "").upper(), asked.get("cluster", ""))
        content, name = field.form_file(asked["schedule"].upper(), round_, cluster=cluster)
        return attachment(content, XLSX, name)


def own_cluster(user, round_: Round | None, schedule: str, code: str) -> Cluster:
    """The cluster for which a person fills a schedule, or 404."""
    if round_ is not None:
        for one in templates_for(user, round_):
            if (one["schedule"], one["cluster"].code) == (schedule, code):
                return one["cluster"]
    raise Http404


class ReturnPaper(PolicyMixin, View):
    """The form of one return, with its code and last year's figures, for those who write it."""

    action = "return.read_draft"

    def get(self, request, pk: int):
        ret = self.fetch(Return.objects.select_related("round__instrument", "cluster"), pk=pk)
        content = papers.form_pdf(
            ret.schedule,
            ret.round,
            subject=ret.subject,
            currency=ret.currency,
            last_year=receipts.last_year_of(ret, by=request.user),
            due=windows(ret.round, [ret.cluster_id])[ret.cluster_id].ends,
        )
        return attachment(content, PDF, f"facts-{ret.round.year}-{ret.schedule.lower()}-{ret.pk}.pdf")


class ReceiptPaper(PolicyMixin, View):
    """The receipt of a version: what was filed, when and by whom, with the digest; no answer."""

    action = "return.read"
    with_answers = False

    def get(self, request, pk: int):
        ret = self.fetch(Return.objects.select_related("round__instrument", "cluster"), pk=pk)
        number = request.GET.get("version", "")
        if number and not (number.isascii() and number.isdecimal() and len(number) < 5):
            raise Http404
        try:
            content = receipts.receipt_pdf(
                ret, by=request.user, number=int(number or 0) or None, with_answers=self.with_answers
            )
        except DomainError:
            raise Http404 from None  # no such version: nothing stands at this address
        what = "answers" if self.with_answers else "receipt"
        return attachment(content, PDF, f"facts-{ret.round.year}-{what}-{ret.pk}-v{number or ret.version}.pdf")


class ReceiptWithAnswers(ReceiptPaper):
    """The receipt with the answers of the last version, for those who gave them; the opening is logged."""

    action = "return.export"
    with_answers = True


class SheetPaper(BenchmarkSheet):
    """The private sheet beside peers, as PDF: the same words as on its page."""

    def render_to_response(self, context, **kwargs):
        ret = context["ret"]
        content = receipts.benchmark_pdf(sheet_data(context))
        return attachment(content, PDF, f"facts-{ret.round.year}-sheet-{ret.pk}.pdf")


class FieldPage(PolicyMixin, TemplateView):
    """Collect on phones: the forms to load, and the submissions brought back."""

    action = "return.create"
    template_name = "facts/field_page.html"

    def get_context_data(self, **kwargs):
        rounds = list(Round.objects.open())
        return super().get_context_data(**kwargs) | {
            "rounds": rounds,
            "round": rounds[0] if rounds else None,
            "forms": templates_for(self.request.user, rounds[0]) if rounds else [],
        }

    def post(self, request):
        file = request.FILES.get("file")
        round_ = Round.objects.open().filter(pk=_key(request.POST.get("round"))).first()
        error = file_error(file) or ("" if round_ else "Choose an open round.")
        if error:
            return self.render_to_response(self.get_context_data(error=error), status=400)
        only_look = "look" in request.POST
        try:
            brought = field.import_submissions(
                file.read(), file.name[:80], round_=round_, by=request.user, dry_run=only_look
            )
        except DomainError as refusal:
            return self.render_to_response(self.get_context_data(error=str(refusal)), status=400)
        outcome = brought.outcome
        shown = {"refused": outcome.refused[:SHOWN_MAX], "open_points": outcome.open_points[:SHOWN_MAX]}
        more = {"n_refused": outcome.n_refused, "n_open": outcome.n_open_points}
        return self.render_to_response(
            self.get_context_data(
                brought=brought, name=file.name[:80], on_round=round_, only_look=only_look, **shown, **more
            )
        )


def file_error(file: UploadedFile | None) -> str:
    if file is None:
        return "Choose the file that ODK Central or KoboToolbox exported."
    if (file.size or 0) > MAX_BYTES:
        return "The file is larger than 10 MB. Export fewer submissions at a time."
    return ""


def _key(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _note(meaning: str, direction: str) -> str:
    """What a figure means and which side is the better one, unless it says so itself."""
    return meaning if direction in meaning.casefold() else f"{meaning} {direction.capitalize()}."


def sheet_data(context: dict) -> dict:
    """What the page of a sheet shows, as plain text for the paper."""
    ret, group = context["ret"], context["sheet"].group
    if group:
        sentence = f"{context['label']} beside {group.name}: on {group.band} accepted returns of {ret.round}."
    else:
        sentence = f"{context['label']}: fewer than ten peers are accepted yet. Your own figures stand here."
    lines = [
        {key: row[key] for key in ("label", "own", "low", "middle", "high")}
        | {
            "note": _note(row["meaning"], row["direction"]),
            "place": row["line"].place,
            "withheld": row["line"].withheld,
            "position": receipts.position(row["line"].own, row["line"].low, row["line"].high),
        }
        for row in context["rows"]
    ]
    gaps = [{"label": one["label"], "sentence": one["sentence"], "helped": one["area_name"]} for one in context["gaps"]]
    return {
        "title": f"Benchmark sheet: {context['label']}, {ret.round}",
        "year": str(ret.round.year),
        "mark": f"{context['label']} · {ret.round}",
        "synthetic": ret.is_synthetic or ret.round.is_synthetic,
        "sentence": sentence,
        "lines": lines,
        "gaps": gaps,
        "promise": SHEET_PROMISE,
    }
