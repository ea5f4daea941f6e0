"""Liveness and readiness, for supervisors and proxies."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import JsonResponse

from core.policy.views import public


@public
def healthz(request):
    """The process answers."""
    return JsonResponse({"status": "ok"})


@public
def readyz(request):
    """Database reachable and migrated, broker known; a broker that is away degrades, it does not stop the site."""
    from observatory.celery import app

    checks = {}
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        checks["database"] = "ok"
        checks["migrations"] = "pending" if pending else "ok"
    except DatabaseError:
        checks["database"] = "away"
    try:
        with app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, timeout=2)
        checks["broker"] = "ok"
    except Exception:
        checks["broker"] = "away"
    ready = checks.get("database") == "ok" and checks.get("migrations") == "ok"
    return JsonResponse({"ready": ready, **checks}, status=200 if ready else 503)
