"""Rows of the permission matrix that belong to no domain."""

from core.policy import ALL, Role

MATRIX = {
    "site.read": {Role.ANONYMOUS: ALL},
    "site.workspace": dict.fromkeys(Role.signed_in(), ALL),
    "job.read": {Role.ANALYST: ALL, Role.AUDITOR: ALL, Role.ADMIN: ALL},
}
