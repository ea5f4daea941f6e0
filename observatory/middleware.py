"""What surrounds every answer: headers, a number for the log, and the record of what was opened on the way."""

import secrets
import time

from django.conf import settings
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from facts.services import opening
from observatory import logs

# Own scripts and styles only; the hash is that of an empty style element, which chart libraries insert.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
PERMISSIONS = ", ".join(
    f"{name}=()"
    for name in (
        *("accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "encrypted-media"),
        *("geolocation", "gyroscope", "hid", "magnetometer", "microphone", "midi", "payment", "serial", "usb"),
        "xr-spatial-tracking",
    )
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "Permissions-Policy": PERMISSIONS,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
CLEARED = '"cache", "storage"'  # not "cookies": that takes those of every site under the same domain


def content_security_policy(get_response):
    """Add the headers; keep what signed-in people see out of every cache; clear the browser when a session ends.

    Outermost, so that answers given before the session was looked at (redirects to HTTPS, refusals) carry them too.
    """

    def middleware(request):
        response = get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        user = getattr(request, "user", None)  # an answer given before sign-in was looked at has none
        if user is not None and user.is_authenticated:
            if "no-store" not in response.headers.get("Cache-Control", ""):
                response.headers["Cache-Control"] = "no-store"
            patch_vary_headers(response, ("Cookie",))
        if _ends_session(request, response):
            response.headers["Clear-Site-Data"] = CLEARED
            response.headers["Cache-Control"] = "no-store"
        return response

    return middleware


def _ends_session(request, response) -> bool:
    """Whether this answer takes a session's cookie away: at sign-out, and when the session was over."""
    cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
    return bool(request.COOKIES.get(settings.SESSION_COOKIE_NAME)) and cookie is not None and cookie["max-age"] == 0


def request_logged(get_response):
    """One line a request: the route's name, never the address; status and time. Its number goes back with the answer.

    The number stands in every line of the request's log, and on the error page's header for who reports an error.
    """

    def middleware(request):
        number = secrets.token_hex(8)
        token = logs.request_id.set(number)
        request.log_number = number  # Django writes a line of its own after all middleware is left
        began = time.monotonic()
        try:
            response = get_response(request)
            response.headers["X-Request-ID"] = number
            logs.logger.info(
                "request",
                extra={
                    "route": logs.route_of(request),
                    "method": logs.method_of(request),
                    "status": response.status_code,
                    "ms": round((time.monotonic() - began) * 1000),
                },
            )
            return response
        finally:
            logs.request_id.reset(token)

    return middleware


def openings_logged(get_response):
    """Write to the audit chain what a request opened in the vault, before the answer leaves.

    Innermost: the answer is made, nothing is sent. Where the event cannot be written the answer is not given.
    """

    def middleware(request):
        began = timezone.now()
        with opening.noted() as opened:
            response = get_response(request)
        opening.log(opened, by=getattr(request, "user", None), began=began, route=logs.route_of(request))
        return response

    return middleware
