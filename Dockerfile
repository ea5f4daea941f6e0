# One image for web, worker and beat; the command says which.
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements-run.lock ./
RUN python -m venv /venv && /venv/bin/pip install --require-hashes -r requirements-run.lock

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 OBSERVATORY_STAND=production OBSERVATORY_VAR=/var/lib/observatory
RUN useradd --system --create-home --home-dir /var/lib/observatory observatory
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
USER observatory
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"
CMD ["gunicorn", "observatory.wsgi", "--config", "deploy/gunicorn.conf.py"]
