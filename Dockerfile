# The minor version of Python and the Debian release are fixed; security fixes come with a rebuild (--pull).
# To fix the base to the byte: --build-arg BASE=python@sha256:...
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
# Wheels only: no compiler is needed, and a missing wheel fails the build instead of the server.
# All code is compiled here because the root file system is read-only when it runs. Unchecked: nothing in an image
# goes stale, while the times that Python would compare do not survive every way of copying a layer.
COPY requirements.txt /tmp/requirements.txt
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install \
        --no-cache-dir --no-compile --only-binary :all: --requirement /tmp/requirements.txt \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib
WORKDIR /app
COPY logurt.py server.py brokers.py environment.py settings.py setting_types.py protocol.py log_format.py fair_selector.py ./
COPY ingest ./ingest
COPY buffer ./buffer
COPY delivery ./delivery
COPY handlers ./handlers
COPY cli ./cli
COPY viewer ./viewer
# Readable for the server whatever umask the checkout was made with.
RUN python -m compileall -q --invalidation-mode unchecked-hash . && chmod -R a+rX .

FROM ${BASE}
LABEL org.opencontainers.image.title="logurt" \
      org.opencontainers.image.description="Live Kubernetes logs over WebSocket for people without cluster access" \
      org.opencontainers.image.licenses="MIT"
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes can see that it is not root. The files stay root's: the server cannot change itself.
USER 10001:10001
EXPOSE 8080
# No HEALTHCHECK: Kubernetes ignores it and asks /healthz and /readyz itself.
# Exec form: Python is process 1 and gets SIGTERM from the runtime, without a shell in between.
ENTRYPOINT ["python", "logurt.py"]
