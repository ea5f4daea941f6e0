"""How many requests an account may send to the door for returns, announced in the headers of every answer.

Counted in the database: a cache of one process would let each of many processes count anew.
"""

import time

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from rest_framework.throttling import BaseThrottle

from facts.models import RequestCount

WINDOW = 3600  # seconds
NAME = "returns"


class ReturnsThrottle(BaseThrottle):
    """So many writing requests an hour for each account; `left` and `resets` are told in the headers."""

    def allow_request(self, request, view) -> bool:
        now = int(time.time())
        self.resets = WINDOW - now % WINDOW
        quota = settings.RETURN_REQUESTS_PER_HOUR
        used = _count(request.user, now // WINDOW)
        request._request.limits = limit_headers(quota, max(quota - used, 0), self.resets)
        return used <= quota

    def wait(self) -> int:
        return self.resets


def limit_headers(quota: int, left: int, resets: int) -> dict[str, str]:
    """As the IETF draft on rate limit headers has it: q quota, w window, r remaining, t seconds to the next window."""
    return {"RateLimit-Policy": f'"{NAME}";q={quota};w={WINDOW}', "RateLimit": f'"{NAME}";r={left};t={resets}'}


def _count(user, window: int) -> int:
    """Count this request; the unique constraint decides who begins a window."""
    mine = RequestCount.objects.filter(client=user, route=NAME, window=window)
    if not mine.update(count=F("count") + 1):
        try:
            with transaction.atomic():
                RequestCount.objects.create(client=user, route=NAME, window=window, count=1)
        except IntegrityError:
            mine.update(count=F("count") + 1)
        RequestCount.objects.filter(client=user, route=NAME, window__lt=window).delete()
    return mine.values_list("count", flat=True).get()
