"""What every endpoint has in common. The router puts it in front of each app's viewset, so no app imports it."""

import hashlib

from django.utils.cache import get_conditional_response, patch_vary_headers
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions, serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer

from core.policy import Role, matrix
from core.policy.api import api_action

from .errors import BadParameters
from .pagination import Cursor, Pages
from .renderers import CSVRenderer, XLSXRenderer

MAX_PARAMETER = 100  # characters of one value in the query string
FILES = ("csv", "xlsx")
FILE_SCHEMAS = {
    CSVRenderer.media_type: {"type": "string"},
    XLSXRenderer.media_type: {"type": "string", "format": "binary"},
}


class Negotiation(DefaultContentNegotiation):
    """`?format=` decides alone; without it the Accept header does. What we do not have is a 406."""

    def select_renderer(self, request, renderers, format_suffix=None):
        wanted = request.query_params.get("format")
        if not wanted:
            return super().select_renderer(request, renderers, format_suffix)
        for renderer in renderers:
            if renderer.format == wanted:
                return renderer, renderer.media_type
        known = ", ".join(dict.fromkeys(renderer.format for renderer in renderers))
        raise exceptions.NotAcceptable(f"There is no format “{wanted[:20]}” here. Use one of: {known}.")


def _more(view) -> tuple[str, ...]:
    return getattr(view, "detail_parameters", ())


class ProblemEntrySerializer(serializers.Serializer):
    """One thing that is wrong, and where."""

    pointer = serializers.CharField(help_text="JSON pointer into the body: #/answers/UB01")
    code = serializers.CharField(help_text="The rule that spoke, or the kind of fault.")
    detail = serializers.CharField(help_text="What is wrong, in words.")
    mend = serializers.CharField(help_text="What would do; may be empty.")
    question = serializers.CharField(required=False, help_text="The question, where a return is at fault.")
    parameter = serializers.CharField(required=False, help_text="The parameter, where the query string is at fault.")


class ProblemSerializer(serializers.Serializer):
    """A problem as RFC 9457 has it."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(required=False)
    errors = ProblemEntrySerializer(many=True)


class ConventionSchema(AutoSchema):
    """Adds to every operation what the conventions add: `fields`, problems, and the answer of a POST."""

    def get_override_parameters(self):
        if self.method != "GET":
            return []
        names = ", ".join(sorted(self.view.get_serializer_class()().fields))
        found = [OpenApiParameter("fields", str, description=f"Names of the fields wanted, parted by commas: {names}")]
        if self.view.action == "retrieve":
            found += [OpenApiParameter(name, str) for name in _more(self.view)]
        return found

    def get_operation_id(self):
        return super().get_operation_id().removeprefix("v1_")

    def get_tags(self):
        return [self.view.basename]

    def get_auth(self):
        restricted = Role.ANONYMOUS not in matrix()[api_action(self.view)]
        return super().get_auth() if restricted else [*super().get_auth(), {}]

    def get_request_serializer(self):
        return self.view.get_serializer_class() if self.method in ("POST", "PATCH") else None

    def get_response_serializers(self):
        if self.method in ("POST", "PATCH"):
            answer = self.view.answer_serializer_classes[self.view.action]
            return {200: answer} if self.method == "PATCH" else {201: answer, 200: answer, 207: answer}
        return super().get_response_serializers()

    def _get_response_bodies(self, direction="response"):
        bodies = super()._get_response_bodies(direction)
        for body in bodies.values():
            for media_type in body.get("content", {}).keys() & FILE_SCHEMAS.keys():
                body["content"][media_type] = {"schema": FILE_SCHEMAS[media_type]}
        problem = self._get_response_for_code(ProblemSerializer, "default", direction=direction)
        schema = next(iter(problem["content"].values()))
        content = {"application/problem+json": schema}
        return bodies | {"default": {"description": "A problem (RFC 9457)", "content": content}}


class Conventions:
    """Query string, fields, formats, conditional requests and cache headers of every endpoint.

    A viewset whose retrieve takes more than `fields` and `format` names it in `detail_parameters`.
    """

    content_negotiation_class = Negotiation
    metadata_class = None
    lookup_value_regex = "[^/]+"
    schema = ConventionSchema()

    def get_renderers(self):
        return super().get_renderers() if self.request.method in ("GET", "HEAD") else [JSONRenderer()]

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        self._check_parameters(request)

    def _parameters(self) -> set[str]:
        if self.action == "list":
            filters = set(self.filterset_class.base_filters) if getattr(self, "filterset_class", None) else set()
            pages = {"page_size", "cursor" if issubclass(self.pagination_class, Cursor) else "page"}
            return filters | pages | {"fields", "format"}
        if self.action == "retrieve":
            return {"fields", "format", *_more(self)}
        return {"fields", "format"} if self.request.method in ("GET", "HEAD") and self.action else set()

    def _check_parameters(self, request) -> None:
        known = self._parameters()
        problems = []
        for name, values in request.query_params.lists():
            if name not in known:
                mend = f"Use one of: {', '.join(sorted(known))}." if known else "Leave it out."
                problems.append((name[:60], "unknown_parameter", f"There is no parameter “{name[:60]}” here.", mend))
            elif name not in ("cursor", "fields") and any(len(value) > MAX_PARAMETER for value in values):
                mend = f"Give at most {MAX_PARAMETER} characters."
                problems.append((name, "too_long", f"The value of “{name}” is too long.", mend))
        if problems:
            raise BadParameters(problems)

    def filter_queryset(self, queryset):
        try:
            return super().filter_queryset(queryset)
        except exceptions.ValidationError as refused:
            raise BadParameters(
                [
                    (name, getattr(word, "code", None) or "invalid", f"{name}: {word}", "")
                    for name, words in refused.detail.items()
                    for word in words
                ]
            ) from None

    def get_serializer(self, *args, **kwargs):
        serializer = super().get_serializer(*args, **kwargs)
        if self.request.method in ("GET", "HEAD"):
            self._trim(getattr(serializer, "child", serializer))
        return serializer

    def _trim(self, serializer) -> None:
        """Leave the fields asked for. `is_synthetic` stays: invented figures never travel without their mark."""
        wanted = {name.strip() for text in self.request.query_params.getlist("fields") for name in text.split(",")}
        wanted.discard("")
        if not wanted:
            return
        known = list(serializer.fields)
        mend = f"Use names from: {', '.join(known)}."
        unknown = sorted(wanted.difference(known))
        if unknown:
            raise BadParameters(
                [
                    ("fields", "unknown_field", f"There is no field “{name[:60]}” here.", mend if not i else "")
                    for i, name in enumerate(unknown[:20])
                ]
            )
        for name in known:
            if name not in wanted and name != "is_synthetic":
                del serializer.fields[name]

    def columns(self) -> list[str]:
        """The heading of a file without rows."""
        return list(self.get_serializer().fields)

    def finalize_response(self, request, response, *args, **kwargs):
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(response, ["Authorization", "Cookie"])
        if "Authorization" in request.headers:
            response["Cache-Control"] = "no-store"
        if response.status_code == 200 and request.method in ("GET", "HEAD"):
            extension = response.accepted_renderer.format
            if extension in FILES:
                response["Content-Disposition"] = f'attachment; filename="{self.basename}.{extension}"'
            response.add_post_render_callback(lambda rendered: _conditional(request._request, rendered))
        return response


def _conditional(request, response):
    """Name the bytes; answer 304 to who holds them."""
    # What two people may edit names its revision in front, so that If-Match can ask for it.
    prefix = getattr(response, "etag_prefix", "")
    response["ETag"] = etag = f'"{prefix}{hashlib.sha256(response.content).hexdigest()[:32]}"'
    return get_conditional_response(request, etag=etag, response=response)


def conventional(viewset, pages: type[Pages] | type[Cursor]):
    """An app's viewset with the conventions in front and its kind of pages."""
    namespace = {"__doc__": viewset.__doc__, "__module__": viewset.__module__, "pagination_class": pages}
    return type(viewset.__name__, (Conventions, viewset), namespace)
