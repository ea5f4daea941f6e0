"""Settings of the test suite: the real ones, with keys of its own, a folder of its own and a quick password hash."""

import os
import tempfile

os.environ.setdefault("OBSERVATORY_VAR", tempfile.mkdtemp(prefix="observatory-tests-"))
os.environ.setdefault("SECRET_KEY", "tests")
os.environ.setdefault("VAULT_KEYS", "t1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
os.environ.setdefault("DIGEST_KEY", "tests")
os.environ.setdefault("DEMO_PASSWORD", "tests-only-password")

from observatory.settings import *  # noqa: E402, F403
from observatory.settings import STATIC_ROOT, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns where it is missing
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
