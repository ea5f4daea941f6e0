"""The second factor: codes of an authenticator app (RFC 6238: SHA-1, 30 s, 6 digits) and recovery codes.

The shared secret is sealed with AES-256-GCM under a key drawn from SECRET_KEY. Each code works once.
"""

import base64
import hashlib
import secrets
import time

import segno
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from core.audit.models import record
from core.base import DomainError
from core.policy import Role

from .models import RecoveryCode, SecondFactor
from .people import SHARED, is_shared

REQUIRED = frozenset({Role.HEAD, Role.SUPERVISOR, Role.ANALYST, Role.AUDITOR, Role.ADMIN})
STEP_SECONDS, DIGITS, SECRET_BYTES = 30, 6, 20
DRIFT = 1  # steps that a phone's clock may be early or late
CODES, CODE_BYTES = 10, 10  # recovery codes of 80 bits
ISSUER = "Cluster Observatory"


def is_required(user) -> bool:
    """Whether somebody may not sign in with a password alone. One query. Demonstration accounts may, on their stand."""
    if is_shared(user):
        return False
    return any(grant.role in REQUIRED for grant in import_string(settings.POLICY_GRANTS)(user))


def is_set_up(user) -> bool:
    """Whether somebody has an authenticator. One query."""
    return SecondFactor.objects.filter(user=user).exists()


# --- The secret -----------------------------------------------------------------------------------


def _keys() -> list[bytes]:
    """The sealing key, then those of earlier secret keys."""
    return [
        HKDF(SHA256(), 32, salt=None, info=b"accounts.second_factor").derive(key.encode())
        for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]


def seal(secret: bytes, user) -> bytes:
    """Seal a secret for one user; sealed for another it does not open."""
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(_keys()[0]).encrypt(nonce, secret, str(user.pk).encode())


def unseal(sealed: bytes, user) -> bytes:
    """Open what `seal` closed; InvalidTag where no key fits."""
    sealed = bytes(sealed)
    for key in _keys():
        try:
            return AESGCM(key).decrypt(sealed[:12], sealed[12:], str(user.pk).encode())
        except InvalidTag:
            continue
    raise InvalidTag


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def in_letters(secret: bytes) -> str:
    """The secret to be typed in where a camera is missing: groups of four letters."""
    letters = base64.b32encode(secret).decode()
    return " ".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def picture(secret: bytes, user) -> str:
    """The QR code of a secret as an SVG data address: no file, no script."""
    address = _totp(secret).get_provisioning_uri(user.username, ISSUER)
    return segno.make(address, error="m").svg_data_uri(scale=5, border=4, light="#ffffff", dark="#000000")


# --- Codes ----------------------------------------------------------------------------------------


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303  what authenticator apps speak


def code_at(secret: bytes, at: float) -> str:
    """The code of a secret at a moment, in seconds since 1970."""
    return _totp(secret).generate(int(at)).decode()


def step_of(secret: bytes, code: str, *, after: int = -1) -> int | None:
    """The step that a code is right for, near the present and newer than `after`; None where there is none."""
    now = int(time.time()) // STEP_SECONDS
    found = None
    for step in range(now - DRIFT, now + DRIFT + 1):
        fits = secrets.compare_digest(code_at(secret, step * STEP_SECONDS).encode(), code.encode())
        if fits and step > after:
            found = step
    return found


def check(user, code: str) -> bool:
    """Use a code of the authenticator, or a recovery code, up. False where it is wrong or was used before."""
    code = "".join(code.split()).replace("-", "")
    held = SecondFactor.objects.filter(user=user).first()
    if held is None:
        return False
    if len(code) == DIGITS:
        step = step_of(unseal(held.sealed, user), code, after=held.last_step)
        return step is not None and bool(
            SecondFactor.objects.filter(pk=held.pk, last_step__lt=step).update(last_step=step)
        )
    return _use_recovery_code(user, code)


@transaction.atomic
def _use_recovery_code(user, code: str) -> bool:
    used = RecoveryCode.objects.filter(user=user, digest=_digest(user, code), used_at=None).update(used_at=Now())
    if used:
        record("account.recovery_code_used", user, by=user)
    return bool(used)


def _digest(user, code: str) -> str:
    # 80 random bits need no slow hash.
    return hashlib.sha256(f"{user.pk}:{code.lower()}".encode()).hexdigest()


# --- Setting up and taking away -------------------------------------------------------------------


@transaction.atomic
def set_up(user, secret: bytes, step: int) -> list[str]:
    """Keep the secret whose code was shown, in place of an earlier one. Returns new recovery codes, this once."""
    if is_shared(user):
        raise DomainError(SHARED)
    SecondFactor.objects.update_or_create(user=user, defaults={"sealed": seal(secret, user), "last_step": step})
    record("account.second_factor_set_up", user, by=user)
    return renew_codes(user)


@transaction.atomic
def renew_codes(user) -> list[str]:
    """Give ten new recovery codes, this once; earlier ones end."""
    RecoveryCode.objects.filter(user=user).delete()
    codes = [base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().lower() for _ in range(CODES)]
    RecoveryCode.objects.bulk_create([RecoveryCode(user=user, digest=_digest(user, code)) for code in codes])
    record("account.recovery_codes_renewed", user, by=user, codes=CODES)
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]


@transaction.atomic
def forget(user, *, by) -> None:
    """Take a lost authenticator away: the person sets up a new one at the next sign-in. Their sessions end."""
    from .sessions import end_sessions

    SecondFactor.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()
    end_sessions(user)
    record("account.second_factor_taken_away", user, by=by)
