"""One settings file for both stands, in the order of Django's documentation; the environment says what differs.

`OBSERVATORY_STAND=demo` (the default) needs nothing: SQLite, an embedded broker, secrets made once into
`var/secrets.env`. `OBSERVATORY_STAND=production` starts with no default for anything that must be secret or real.
"""

import os
from pathlib import Path

import environ
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured

from observatory.stand import read_secrets

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("OBSERVATORY_VAR", BASE_DIR / "var"))
env = environ.Env()

STAND = env("OBSERVATORY_STAND", default="demo")
if STAND not in ("demo", "production"):
    raise ImproperlyConfigured(f"OBSERVATORY_STAND is {STAND!r}; it must be 'demo' or 'production'.")
DEMO = STAND == "demo"
if DEMO:
    for _name, _value in read_secrets(VAR_DIR / "secrets.env").items():
        os.environ.setdefault(_name, _value)


def required_env(name: str) -> str:
    """Return an environment variable, or stop with advice a newcomer can act on."""
    try:
        return os.environ[name]
    except KeyError:
        raise ImproperlyConfigured(f"{name} is not set. Copy .env.example to .env and fill it in.") from None


# Core
DEBUG = False
SECRET_KEY = required_env("SECRET_KEY")
VAULT_KEYS = required_env("VAULT_KEYS")  # "id:base64key;id:base64key", the first one seals
DIGEST_KEY = required_env("DIGEST_KEY")  # keys the digests of confidential content
ALLOWED_HOSTS = (
    env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"]) if DEMO else env.list("ALLOWED_HOSTS")
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "observatory.urls"
WSGI_APPLICATION = "observatory.wsgi.application"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_filters",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "core.accounts",
    "core.audit",
    "core.jobs",
    "core.policy",
    "clusters",
    "facts",
    "facts.vault",
    "cci",
    "interventions",
    "observatory",
]
MIDDLEWARE = [
    "observatory.middleware.content_security_policy",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "observatory.middleware.request_logged",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "core.accounts.idle.idle_sign_out",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "observatory.middleware.openings_logged",  # innermost: what a view opens is written before its answer leaves
]

# Cache: per process and only for what is public and derived
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# Database
EMBEDDED = {"ENGINE": "django.db.backends.sqlite3", "NAME": VAR_DIR / "db.sqlite3"}
DATABASES = {"default": EMBEDDED if DEMO and not env("DATABASE_URL", default="") else env.db("DATABASE_URL")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a transaction that reads and then writes takes the write lock at once instead of failing in the middle.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # Nobody waits for ever behind a stuck session. Long enough for the import of a whole cluster.
    limits = {"lock_timeout": 15_000, "statement_timeout": 60_000, "idle_in_transaction_session_timeout": 120_000}
    DATABASES["default"]["OPTIONS"] = {"options": " ".join(f"-c {name}={ms}" for name, ms in limits.items())}
# Where visitors report an error
CONTACT_EMAIL = env("CONTACT_EMAIL", default="")

# Mail: files on the demonstration stand; elsewhere EMAIL_URL, as in smtp+tls://user:password@mail.example.org:587
EMAIL_URL = env("EMAIL_URL", default="")
vars().update(env.email_url_config(EMAIL_URL or "dummymail:"))  # without an address the job of a message fails aloud
if DEMO and not EMAIL_URL:
    EMAIL_BACKEND, EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", str(VAR_DIR / "mail")
DEFAULT_FROM_EMAIL = CONTACT_EMAIL or "observatory@localhost"
# How messages name this site
_here = f"http://localhost:{env('PORT', default='8000')}" if DEMO else f"https://{ALLOWED_HOSTS[0]}"
SITE_URL = env("SITE_URL", default=_here).rstrip("/")
# Reminders go out so many days before a cluster's collection ends
REMIND_DAYS_BEFORE = (14, 3)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Files
MEDIA_ROOT = VAR_DIR / "media"
SNAPSHOT_DIR = VAR_DIR / "snapshots"
QUARANTINE_DIR = VAR_DIR / "quarantine"  # files on their way in, sealed
# Files are held in memory until they are sealed: nothing that a firm sends lies open on a disk. Larger are not taken.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 10_300_000  # a file of 10 MB, and the fields beside it
DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

# Language, numbers and time
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_THOUSAND_SEPARATOR = True

# HTTP and security
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "workspace"
LOGOUT_REDIRECT_URL = "home"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
if not DEMO:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=True)
    # No consent to the browsers' preload list: it is given for the whole domain above and is hard to take back.
    SILENCED_SYSTEM_CHECKS = ["security.W021"]
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"

# Sign-in; see docs/accounts.md
AUTH_USER_MODEL = "accounts.User"
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])  # earlier keys, while they are being replaced
PASSWORD_HASHERS = ["core.accounts.hashers.Argon2", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
DEMO_PASSWORD = os.environ.get("DEMO_PASSWORD", "") if DEMO else ""
if not DEMO and os.environ.get("DEMO_PASSWORD"):
    raise ImproperlyConfigured("DEMO_PASSWORD is set on a production stand, which has no demonstration accounts.")

# Permissions: who may what is data; see core.policy
POLICY_MODULES = [
    "core.permissions",
    "core.accounts.permissions",
    "clusters.permissions",
    "facts.permissions",
    "cci.permissions",
    "interventions.permissions",
]
POLICY_GRANTS = "clusters.permissions.grants_of"

# Review orders by the effect on the index, which lies above it: where it is told how the index measures.
INDEX_YARDSTICK = "cci.yardstick.yardstick"
AFTER_ACCEPTANCE = "cci.services.recompute_soon"  # told which rounds gained accepted returns
RECOMPUTE_AFTER_SECONDS = env.int("RECOMPUTE_AFTER_SECONDS", default=120)

# Static files and templates
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_MANIFEST_STRICT = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "observatory.context.site",
            ],
            "builtins": ["observatory.templatetags.observatory"],
        },
    },
]

# API
REST_FRAMEWORK = {
    # Named here, so no app imports from observatory.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "core.accounts.api.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["core.accounts.api.ScopedPermission"],
    "DEFAULT_PAGINATION_CLASS": "observatory.api.pagination.Pages",
    "PAGE_SIZE": 100,
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "observatory.api.renderers.CSVRenderer",
        "observatory.api.renderers.XLSXRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["observatory.api.parsers.SafeJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "observatory.api.errors.problem_details",
    "NON_FIELD_ERRORS_KEY": "__all__",
    "COERCE_DECIMAL_TO_STRING": False,
}
# What a key's scopes open, by action of the permission matrix; an action without a row is for people
_public = ("read",)
API_SCOPES = {
    **dict.fromkeys(
        ["cluster.read", "register.read", "round.read", "instrument.read", "indicator.read", "indicator_value.read"],
        _public,
    ),
    **dict.fromkeys(["edition.read", "score.read", "ranking.read", "release.read", "erratum.read"], _public),
    **dict.fromkeys(["revision.read", "intervention.read", "scheme.read", "site.read"], _public),
    "unit.read": ("read", "returns:submit"),  # frame numbers, for which one may file
    "return.read": ("returns:status",),
    "return.create": ("returns:submit",),
    "return.write": ("returns:submit",),
}
# Writing requests of returns that one account may send in an hour; one request holds up to 1,000 returns
RETURN_REQUESTS_PER_HOUR = env.int("RETURN_REQUESTS_PER_HOUR", default=1200)
SPECTACULAR_SETTINGS = {
    "TITLE": "Cluster Observatory API",
    "VERSION": "1.0",
    "DESCRIPTION": "Everything public, and the door for returns. Errors are RFC 9457 problem details.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Background work
JOB_LEASE_SECONDS = env.int("JOB_LEASE_SECONDS", default=60)
JOB_KINDS = {
    "load_demo": "observatory.demo.load_demo",
    "recompute_cci": "cci.services.run_recompute",
    "cci.recompute_round": "cci.services.run_recompute_round",
    "cci.verify_edition": "cci.services.run_verification",
    "facts.check_cluster": "facts.services.checking.run_check_cluster",
    "facts.check_round": "facts.services.checking.run_check_round",
    "facts.prioritise": "facts.services.priority.run_prioritise",
    "facts.read_upload": "facts.services.uploads.read_upload",
    "facts.import_upload": "facts.services.uploads.import_upload",
    "facts.send_invitation": "facts.services.invitations.send_invitation",
    "facts.tell_break_glass": "facts.services.break_glass.tell",
    "accounts.send_reset": "core.accounts.mail.send_reset",
    "accounts.send_invitation": "core.accounts.mail.send_invitation",
    "accounts.send_notice": "core.accounts.mail.send_notice",
}
AROUND_JOBS = "facts.services.opening.of_job"  # logs what a job opened of sealed answers
REDIS_URL = env("REDIS_URL", default="") if DEMO else required_env("REDIS_URL")
CELERY_BROKER_URL = REDIS_URL or "filesystem://"
if REDIS_URL:
    # Above the longest task; the sweep of the job ledger, not the broker, is what recovers a dead worker's job.
    CELERY_BROKER_TRANSPORT_OPTIONS: dict = {"visibility_timeout": 3900}
else:
    for _folder in ("broker/queue", "broker/control"):
        (VAR_DIR / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(VAR_DIR / "broker/queue"),
        "data_folder_out": str(VAR_DIR / "broker/queue"),
        "control_folder": str(VAR_DIR / "broker/control"),
        "polling_interval": 0.1,
    }
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = env("CELERY_QUEUE", default="observatory")
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
NIGHTLY_RECOMPUTE_HOUR = env.int("NIGHTLY_RECOMPUTE_HOUR", default=1)  # UTC, 0 to 23
CELERY_BEAT_SCHEDULE = {
    "sweep the job ledger": {"task": "core.jobs.tasks.sweep", "schedule": 10.0},
    "wipe files and answers kept for a time": {"task": "facts.tasks.wipe_expired", "schedule": 3600.0},
    "recompute open rounds at night": {
        "task": "cci.tasks.recompute_open_rounds",
        "schedule": crontab(hour=str(NIGHTLY_RECOMPUTE_HOUR), minute="0"),
    },
    "release editions whose time has come": {"task": "cci.tasks.release_due", "schedule": 60.0},
    "tidy accounts": {"task": "core.accounts.tasks.tidy", "schedule": 3600.0},
    "check open rounds at night": {
        "task": "facts.tasks.check_open_rounds",
        "schedule": env.int("NIGHTLY_CHECK_SECONDS", default=24 * 3600),
    },
    "remind who has not filed": {"task": "facts.round_tasks.send_due_messages", "schedule": 6 * 3600},
}

# Logging: one JSON object a line; route names and ids, never answers, addresses or the text of an exception
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "observatory.logs.Lines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env("LOG_LEVEL", default="INFO")},
    "loggers": {
        # Without handlers of their own: Django's would mail whole error pages and print addresses.
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {"handlers": [], "propagate": True},
        "django.db.backends": {"level": "WARNING"},
        "kombu.connection": {"level": "ERROR"},  # warns that the embedded broker has no host name
    },
}
