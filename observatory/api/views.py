"""The pages around the API: documentation, the interactive page, the OpenAPI document, and what is not there."""

from functools import cache
from urllib.parse import urlsplit, urlunsplit

from django.http import HttpResponse, HttpResponsePermanentRedirect
from django.urls import Resolver404, resolve
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import TemplateView
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from core.policy import Role, matrix
from core.policy.views import public

from .conventions import Negotiation
from .errors import NOTHING_HERE, problem
from .pagination import MAX_PAGE_SIZE, Cursor
from .router import ENDPOINTS


def unknown(request, *args, **kwargs):
    """Answer every address under /api/ that is none of ours; a reader who left the last slash out is sent on."""
    if not request.path.endswith("/") and request.method in ("GET", "HEAD"):
        try:
            found = resolve(request.path_info + "/")
        except Resolver404:
            found = None
        if found and found.func is not unknown:
            parts = urlsplit(request.get_full_path())
            return HttpResponsePermanentRedirect(urlunsplit(parts._replace(path=parts.path + "/")))
    mend = "" if request.path.endswith("/") else " Addresses end with a slash."
    return problem(404, NOTHING_HERE + mend)


unknown = public(csrf_exempt(unknown))


class Documentation(TemplateView):
    """What the API is, on one page for people."""

    action = "site.read"
    template_name = "api/documentation.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            base=self.request.build_absolute_uri("/api/v1/"),
            endpoints=[_described(*endpoint) for endpoint in ENDPOINTS],
            max_page_size=MAX_PAGE_SIZE,
            **kwargs,
        )

    def http_method_not_allowed(self, request, *args, **kwargs):
        return problem(405, f"{request.method} has no meaning here.", headers={"Allow": "GET, HEAD"})


def _described(prefix: str, viewset, pages) -> dict:
    """One endpoint as the documentation shows it."""
    filterset = getattr(viewset, "filterset_class", None)
    action = viewset.policy_actions["list"]
    key = viewset.lookup_url_kwarg or viewset.lookup_field
    return {
        "prefix": prefix,
        "about": (viewset.__doc__ or "").strip().split("\n")[0],
        "key": "id" if key == "pk" else key,
        "filters": list(filterset.base_filters) if filterset else [],
        "restricted": Role.ANONYMOUS not in matrix()[action],
        "writable": "create" in viewset.policy_actions,
        "cursor": issubclass(pages, Cursor),
    }


class Interactive(SpectacularSwaggerSplitView):
    """Swagger UI with its script in a file of its own, as the content security policy wants it."""

    policy_actions = {"get": "site.read"}
    url_name = "api-schema"
    template_name = "api/interactive.html"
    template_name_js = "api/interactive.js"
    metadata_class = None


@cache
def schema_bytes(renderer_class) -> bytes:
    """The OpenAPI document, made once a process: it is the same for everybody."""
    content = renderer_class().render(SchemaGenerator().get_schema(request=None, public=True), renderer_context={})
    return content if isinstance(content, bytes) else content.encode()


class Schema(SpectacularAPIView):
    """The OpenAPI document, as JSON, or as YAML with `?format=yaml`."""

    policy_actions = {"get": "site.read"}
    content_negotiation_class = Negotiation
    renderer_classes = [OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer, OpenApiYamlRenderer2]
    metadata_class = None

    def _get_schema_response(self, request):
        renderer = request.accepted_renderer
        response = HttpResponse(schema_bytes(type(renderer)), content_type=renderer.media_type)
        response["Content-Disposition"] = f'inline; filename="cluster-observatory-api-v1.{renderer.format}"'
        return response
