FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/orchestrator
WORKDIR /src
COPY requirements.lock ./
RUN /opt/orchestrator/bin/pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY api ./api
COPY migrations ./migrations
COPY orchestrator ./orchestrator
RUN /opt/orchestrator/bin/pip install --no-deps --no-build-isolation .

FROM python:3.13-slim
# A fixed number, so that a volume keeps its owner and Kubernetes can check that it is not root.
RUN useradd --system --uid 10001 --user-group --create-home --home-dir /var/lib/orchestrator orchestrator
COPY --from=build /opt/orchestrator /opt/orchestrator
ENV PATH=/opt/orchestrator/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORCHESTRATOR_STATE_DIR=/var/lib/orchestrator \
    ORCHESTRATOR_LOG_FORMAT=json \
    ORCHESTRATOR_PUBLIC_URL=http://127.0.0.1:8080
USER 10001:10001
WORKDIR /var/lib/orchestrator
VOLUME /var/lib/orchestrator
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(f\"http://127.0.0.1:{os.environ.get('ORCHESTRATOR_PORT', '8080')}/healthz\", timeout=4)"]
ENTRYPOINT ["orchestrator"]
CMD ["serve", "--host", "0.0.0.0"]
