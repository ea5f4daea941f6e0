"""gunicorn behind the proxy: threads for waiting, bounded requests, no address of a visitor in a log."""

import os

bind = "0.0.0.0:8000"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 8
timeout = 60
graceful_timeout = 30
max_requests = 5000
max_requests_jitter = 500
accesslog = None
forwarded_allow_ips = "*"  # reachable through the proxy's network only
