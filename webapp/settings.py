"""Settings, all from the environment; README.md has the table. A plain checkout runs without any."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from webapp.core import secrets
from webapp.serving import engine_settings

BASE_DIR = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("HOUSESTYLE_HOME") or BASE_DIR / ".housestyle").resolve()
PRODUCTION = os.environ.get("HOUSESTYLE_ENV", "development") == "production"
DEBUG = False
VERSION = "0.1.0"

if PRODUCTION:
    missing = [name for name in ("SECRET_KEY", "HOUSESTYLE_MASTER_KEY") if not os.environ.get(name)]
    if missing:
        raise ImproperlyConfigured(f"Set {' and '.join(missing)}: production makes no secrets of its own.")
    SECRET_KEY = os.environ["SECRET_KEY"]
    MASTER_KEY = os.environ["HOUSESTYLE_MASTER_KEY"]
    ENGINE_TOKEN = os.environ.get("HOUSESTYLE_ENGINE_TOKEN", "")
else:
    _made = secrets.load(HOME)
    SECRET_KEY = os.environ.get("SECRET_KEY") or _made.secret_key
    MASTER_KEY = os.environ.get("HOUSESTYLE_MASTER_KEY") or _made.master_key
    ENGINE_TOKEN = os.environ.get("HOUSESTYLE_ENGINE_TOKEN") or _made.engine_token

PUBLIC_URL = os.environ.get("HOUSESTYLE_URL", "http://127.0.0.1:8800").rstrip("/")
ENGINE_URL = os.environ.get("HOUSESTYLE_ENGINE_URL", "http://127.0.0.1:8801").rstrip("/")
try:
    ENGINES = engine_settings.parse(
        os.environ.get("HOUSESTYLE_ENGINES", ""), os.environ, shared_token=ENGINE_TOKEN
    )
except engine_settings.EngineSettingsError as _error:
    raise ImproperlyConfigured(str(_error)) from None
BASE_MODEL_NAME = os.environ.get("HOUSESTYLE_BASE_MODEL", "SmolLM2-135M-Instruct")
BASE_MODEL_DIR = Path(os.environ.get("HOUSESTYLE_MODEL_DIR") or HOME / "models" / BASE_MODEL_NAME)
MAX_ADAPTER_RANK = int(os.environ.get("HOUSESTYLE_MAX_RANK", "64"))

ALLOWED_HOSTS = [urlsplit(PUBLIC_URL).hostname or "localhost", "localhost", "127.0.0.1"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "axes",
    "webapp.core",
    "webapp.tenants",
    "webapp.audit",
    "webapp.documents",
    "webapp.findings",
    "webapp.datasets",
    "webapp.training",
    "webapp.adapters",
    "webapp.serving",
    "webapp.usage",
    "webapp.gateway",
    "webapp.playground",
    "webapp.api",
    "webapp.demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "webapp.core.errors.ErrorPages",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "webapp.urls"
ASGI_APPLICATION = "webapp.asgi.application"
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
                "webapp.tenants.context.firm",
            ],
        },
    }
]


NETWORK_PATIENCE = {
    "connect_timeout": "10",  # seconds
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",  # milliseconds
}


def _database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/") or "housestyle",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or query.pop("port", "")),
        # A connection whose network has gone is given up in seconds, not in the system's own two hours.
        "OPTIONS": {**NETWORK_PATIENCE, **query},
        # Under ASGI each request has a thread of its own: a connection kept for the next one would only leak.
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
    }


DATABASES = {"default": _database(os.environ.get("DATABASE_URL", "postgresql:///housestyle"))}
# Web and workers become this role on every connection. It owns no table and cannot bypass row security.
DATABASE_ROLE = os.environ.get("HOUSESTYLE_DATABASE_ROLE", "housestyle_app")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
# Guessing is slowed per account and address together, so that nobody can lock a colleague out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_USERNAME_FORM_FIELD = "username"
AXES_LOCKOUT_TEMPLATE = "tenants/locked.html"

LANGUAGE_CODE = "en"
TIME_ZONE = os.environ.get("TZ", "UTC")
USE_TZ = True
USE_THOUSAND_SEPARATOR = True

STATIC_URL = "static/"
STATIC_ROOT = HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": HOME / "storage", "file_permissions_mode": 0o600},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
ADAPTERS_DIR = HOME / "storage" / "adapters"
WORK_DIR = HOME / "work"
# What a run needs to go on after its worker's death: sealed checkpoints and the frozen prefix.
CHECKPOINTS_DIR = HOME / "storage" / "checkpoints"
CHECKPOINT_SECONDS = float(os.environ.get("HOUSESTYLE_CHECKPOINT_SECONDS") or 30)
# How many training runs one firm may have running at a time; the others wait.
TRAINING_RUNS_PER_FIRM = int(os.environ.get("HOUSESTYLE_RUNS_PER_FIRM") or 2)
# What a firm may ask of the models where its admin set nothing; without a number there is no such limit.
USAGE_DEFAULTS = {
    "requests_per_minute": int(os.environ.get("HOUSESTYLE_REQUESTS_PER_MINUTE") or 0) or None,
    "tokens_per_minute": int(os.environ.get("HOUSESTYLE_TOKENS_PER_MINUTE") or 0) or None,
    "concurrent": int(os.environ.get("HOUSESTYLE_CONCURRENT_REQUESTS") or 32),
    "monthly_tokens": int(os.environ.get("HOUSESTYLE_MONTHLY_TOKENS") or 0) or None,
}
# Threads, each with a connection of its own, in which a web process does the database work of completions.
DATABASE_THREADS = int(os.environ.get("HOUSESTYLE_DATABASE_THREADS") or 4)
MAX_UPLOAD_BYTES = 50 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 200
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_100  # a dataset of 10,000 documents names each in its form

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "documents"
CELERY_TASK_ROUTES = {"housestyle.train": {"queue": "training"}}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A message is a hint: a lost one is published again by the relay, which runs this often.
RELAY_SECONDS = 5.0
CELERY_BEAT_SCHEDULE = {
    "relay": {"task": "housestyle.relay", "schedule": RELAY_SECONDS},
    "usage": {"task": "housestyle.usage", "schedule": 30.0},
    # What the engines hold is compared with what must answer.
    "reconcile": {"task": "housestyle.reconcile", "schedule": 15.0},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "webapp.api.authentication.ApiKeyAuthentication",
        "webapp.api.authentication.FirmSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["webapp.api.permissions.IsMember"],
    "DEFAULT_PAGINATION_CLASS": "webapp.api.pagination.Pages",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "webapp.api.errors.handle",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Housestyle",
    "VERSION": VERSION,
    "DESCRIPTION": "Documents, datasets, training runs, adapters and approvals of your firm.",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "ExampleKindEnum": "webapp.datasets.models.ExampleKind",
        "MadeKindEnum": ["cite", "draft", "continue"],
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "style-src": [SELF],
        # uPlot and the upload bar set widths through the style property of an element, not through markup.
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
if PRODUCTION:
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"httpx": {"level": "WARNING"}, "axes": {"level": "WARNING"}},
}
