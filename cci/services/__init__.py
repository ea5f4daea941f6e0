"""What is done with methodologies and editions, by noun."""

from .computing import compute_edition
from .errata import say_corrected, write_erratum
from .methodologies import CURRENT, adopt_methodology, check_methodology, register_methodology
from .publishing import decline, propose, publish, release_due, revised, withdraw_approval
from .runs import (
    cancel_recompute,
    recompute_open_rounds,
    recompute_soon,
    request_recompute,
    run_recompute,
    run_recompute_round,
)
from .storing import store_edition
from .trials import back_cast, request_trial
from .verifying import Verified, request_verification, run_verification, verification_of, verify

__all__ = [
    "Verified",
    "verify",
    "CURRENT",
    "adopt_methodology",
    "back_cast",
    "cancel_recompute",
    "check_methodology",
    "compute_edition",
    "decline",
    "propose",
    "publish",
    "recompute_open_rounds",
    "recompute_soon",
    "register_methodology",
    "release_due",
    "request_recompute",
    "request_trial",
    "request_verification",
    "revised",
    "run_recompute",
    "run_recompute_round",
    "run_verification",
    "say_corrected",
    "store_edition",
    "verification_of",
    "withdraw_approval",
    "write_erratum",
]
