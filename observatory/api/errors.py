"""One error shape for the whole API: RFC 9457 problem details, with a pointer to the field."""

import logging
from urllib.parse import quote

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, ValidationError
from django.core.signals import got_request_exception
from django.db import OperationalError
from django.http import Http404, JsonResponse, UnreadablePostError
from rest_framework import exceptions

from core.base import Conflict, DomainError

logger = logging.getLogger(__name__)

TITLES = {
    400: "The request is not valid",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "No such format",
    409: "Not possible in this state",
    412: "Somebody saved in between",
    413: "Too large",
    415: "Unknown content type",
    422: "Not acceptable",
    428: "If-Match is missing",
    429: "Too many requests",
    500: "A fault of ours",
    503: "Busy",
}
NOTHING_HERE = "There is nothing at this address, or this account may not know of it."
BODY_TOO_LARGE = "The body is larger than 10 MB. Send it in parts."
BODY_BROKEN = "The request could not be read to its end."
RETRY_AFTER = 5  # seconds, when the database is locked


class BadParameters(exceptions.APIException):
    """Something in the query string is wrong; `problems` holds `(parameter, code, detail, mend)`."""

    status_code = 400
    default_code = "invalid"

    def __init__(self, problems: list[tuple[str, str, str, str]]):
        super().__init__(" ".join(detail for _, _, detail, _ in problems))
        self.errors = [entry(("",), code, detail, mend) | {"parameter": name} for name, code, detail, mend in problems]


class TooLarge(exceptions.APIException):
    """A body beyond the limit."""

    status_code = 413
    default_detail = BODY_TOO_LARGE
    default_code = "too_large"


def pointer(path) -> str:
    """The JSON pointer of a place in the body, as a URI fragment: ("answers", "UB01") → "#/answers/UB01"."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in path if part != ""]
    return "#" + "".join("/" + quote(part, safe="~!$&'()*+,;=:@", errors="replace") for part in parts)


def entry(path, code: str, detail: str, mend: str = "") -> dict:
    """One element of `errors`."""
    return {"pointer": pointer(path), "code": code, "detail": detail, "mend": mend}


def problem(status: int, detail: str = "", errors: list | None = None, headers: dict | None = None) -> JsonResponse:
    """Return an answer of type application/problem+json, whatever format was asked for.

    `errors` holds `{pointer, code, detail, mend}`, for the query string also `parameter`.
    """
    body: dict = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status}
    if detail:
        body["detail"] = detail
    body["errors"] = errors or []
    return JsonResponse(body, status=status, content_type="application/problem+json", headers=headers)


def _entries(detail, path=()):
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _entries(value, path if key == "__all__" else (*path, key))
    elif isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        for index, value in enumerate(detail):
            yield from _entries(value, (*path, index))
    else:
        for item in detail if isinstance(detail, list) else [detail]:
            yield entry(path, getattr(item, "code", None) or "invalid", str(item), getattr(item, "mend", ""))


def problem_details(exc, context):
    """Turn every exception of a view into a problem; what is not expected goes to the log and answers 500."""
    # Imported here: this module is named in the settings that `rest_framework.views` reads while it is imported.
    from rest_framework.views import set_rollback

    set_rollback()
    if isinstance(exc, Http404):
        return problem(404, NOTHING_HERE)
    if isinstance(exc, PermissionDenied):
        return problem(403, str(exc))
    if isinstance(exc, Conflict):
        return problem(409, str(exc))
    if isinstance(exc, DomainError):
        return problem(422, str(exc))
    if isinstance(exc, ValidationError):
        detail = exc.message_dict if hasattr(exc, "error_dict") else {"__all__": exc.messages}
        return _invalid(list(_entries(detail)))
    if isinstance(exc, exceptions.ValidationError):
        return _invalid(list(_entries(exc.detail)))
    if isinstance(exc, exceptions.APIException):
        headers = dict(getattr(exc, "headers", {}))
        if getattr(exc, "auth_header", None):
            headers["WWW-Authenticate"] = exc.auth_header
        if getattr(exc, "wait", None):
            headers["Retry-After"] = str(int(exc.wait))
        detail = str(exc.detail)
        errors = getattr(exc, "errors", None)
        if errors is None and exc.status_code in (400, 413):
            errors = [entry((), exc.get_codes(), detail, getattr(exc, "mend", ""))]
        return problem(exc.status_code, detail, errors, headers)
    if isinstance(exc, RequestDataTooBig):
        return problem(413, BODY_TOO_LARGE, [entry((), "too_large", BODY_TOO_LARGE)])
    if isinstance(exc, UnreadablePostError | SuspiciousOperation):
        return problem(400, BODY_BROKEN, [entry((), "unreadable", BODY_BROKEN)])
    return _fault(exc, context)


def _invalid(errors: list[dict]):
    count = len(errors)
    return problem(400, f"{count} {'thing is' if count == 1 else 'things are'} not right; see errors.", errors)


def _fault(exc, context):
    view = type(context.get("view")).__name__
    if isinstance(exc, OperationalError):
        logger.warning("%s: the database did not answer in time", view)
        return problem(503, "The database is busy. Try again.", headers={"Retry-After": str(RETRY_AFTER)})
    logger.error("Unexpected in %s", view, exc_info=exc)
    got_request_exception.send(sender=type(context.get("view")), request=context.get("request"))
    return problem(500, "Something went wrong here; it is in our log. Nothing of this request was kept.")
