"""Who opened our data: the page, the file, and everything held on one unit."""

from django.http import Http404, HttpResponse
from django.views.generic import TemplateView, View

from core.policy.views import PolicyMixin
from facts.models import Return, Schedule
from facts.services import break_glass, opening, subject_export


def attachment(content: bytes, content_type: str, name: str) -> HttpResponse:
    """A file to keep, never shown inside a page."""
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


class Openings(PolicyMixin, TemplateView):
    """When, by which office, what and why: openings of the own organisation's sealed data; for an auditor of all."""

    action = "opening.read"
    template_name = "facts/openings.html"

    def get_context_data(self, **kwargs):
        asked = self.request.GET.get("before", "")
        before = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 18 else None
        lines, older = opening.openings_page(self.request.user, before=before)
        return super().get_context_data(**kwargs) | {
            "lines": lines,
            "older": older,
            "is_newest": before is None,
            "live": break_glass.live_on_own(self.request.user),
        }


class OpeningsFile(PolicyMixin, View):
    """The same as CSV."""

    action = "opening.read"

    def get(self, request):
        return attachment(opening.openings_file(request.user), "text/csv; charset=utf-8", "openings.csv")


class Everything(PolicyMixin, View):
    """Everything held on the unit of a return, as one file."""

    action = "return.export_all"

    def get(self, request, pk):
        ret = self.fetch(Return.objects.filter(schedule=Schedule.UNIT).select_related("unit", "cluster"), pk=pk)
        if ret.unit_id is None:
            raise Http404
        content = subject_export.file_of(ret, by=request.user)
        return attachment(content, "application/json", f"everything-{ret.unit.frame_id}.json")
