"""How passwords are kept."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes, one lane: the floor of OWASP's cheat sheet on password storage.

    Django's own 100 MiB and eight lanes would let a handful of sign-ins at once fill a small server's memory.
    """

    time_cost, memory_cost, parallelism = 2, 19 * 1024, 1
