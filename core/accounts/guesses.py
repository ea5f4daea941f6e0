"""How often a secret may be guessed: counted in the database, by account and network, never by account alone.

Each key has an allowance of `burst` tries, which come back at `per_hour`: in no hour are there more than their sum.
One conditional update takes a try, so that two requests at once do not take the same one.
"""

import ipaddress
import time

from django.conf import settings
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils.crypto import salted_hmac

from .models import Allowance

# kind: (burst, per hour)
LIMITS = {
    "network": (30, 60),
    "pair": (5, 5),  # an account from one network
    "account": (10, 10),  # an account from everywhere, for devices on which it never signed in: at most 20 an hour
    "device": (10, 10),  # an account from a device on which it signed in before; nobody else can use this one up
    "reset-network": (10, 20),
    "reset-pair": (2, 3),
}


def network_of(request) -> str:
    """The network a request comes from: /24 of IPv4, /48 of IPv6.

    Behind the proxy the last entry of its header is the visitor; what stands before it the visitor may have invented.
    """
    source = request.META.get("REMOTE_ADDR", "")
    if not settings.DEMO:
        source = request.META.get("HTTP_X_FORWARDED_FOR", source).rpartition(",")[2].strip() or source
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


def _key(kind: str, parts: tuple[str, ...]) -> str:
    # Keyed, so that the table tells nobody which names were typed.
    return salted_hmac("accounts.guesses", "\0".join((kind, *parts)), algorithm="sha256").hexdigest()


def take(kind: str, *parts: str) -> bool:
    """Take one try of the allowance of `kind` for `parts`; False where none is left. One to three queries."""
    burst, per_hour = LIMITS[kind]
    each = 3600 / per_hour
    key = _key(kind, parts)
    for _ in range(2):
        now = time.time()
        room = Allowance.objects.filter(pk=key, used_until__lte=now + (burst - 1) * each)
        if room.update(used_until=Greatest(F("used_until"), Value(now)) + each):
            return True
        if Allowance.objects.filter(pk=key).exists():
            return False
        Allowance.objects.bulk_create([Allowance(key=key, used_until=now)], ignore_conflicts=True)
    return False


def give_back(kind: str, *parts: str) -> None:
    """Give back the try that turned out to be right, so that a busy office does not use up its network's allowance."""
    Allowance.objects.filter(pk=_key(kind, parts)).update(used_until=F("used_until") - 3600 / LIMITS[kind][1])


def tries(request, account: str, *, is_known_device: bool) -> list[tuple[str, ...]]:
    """Which allowances a guess at an account uses, the widest last: a refused network uses up no account."""
    network = network_of(request)
    if is_known_device:
        return [("device", account)]
    return [("network", network), ("pair", account, network), ("account", account)]


def may_guess(request, account: str, *, is_known_device: bool) -> bool:
    """Whether a guess is looked at at all. Takes a try of every allowance it needs, until one is used up."""
    return all(take(*one) for one in tries(request, account, is_known_device=is_known_device))


def was_right(request, account: str, *, is_known_device: bool) -> None:
    """Give back what a right guess took."""
    for one in tries(request, account, is_known_device=is_known_device):
        give_back(*one)


def forget_old(before: float | None = None) -> int:
    """Drop allowances that are whole again. Returns how many."""
    return Allowance.objects.filter(used_until__lt=before or time.time() - 3600).delete()[0]
