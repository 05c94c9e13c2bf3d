# One image for both services and the command `upnext`; which one runs is the container's command.

ARG PYTHON=3.13

FROM python:${PYTHON}-slim-trixie AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv --without-pip /opt/upnext

# The dependencies change less often than the code: a layer of their own, pinned by hash.
COPY requirements.lock ./
RUN python -m pip --python /opt/upnext install --quiet --require-hashes \
        --requirement requirements.lock

# What builds a package is pinned in the other lock; it stays behind in a folder of its own.
COPY requirements-dev.lock ./
RUN python -m venv /opt/build \
    && awk '/^[^ ]/ {on = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/} on' \
        requirements-dev.lock > build.lock \
    && /opt/build/bin/pip install --quiet --require-hashes --requirement build.lock

COPY LICENSE README.md pyproject.toml ./
COPY shared ./shared
COPY consumption_service ./consumption_service
COPY recommendation_service ./recommendation_service
COPY upnext ./upnext
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . \
    && python -m pip --python /opt/upnext install --quiet --no-deps --no-index dist/*.whl

FROM python:${PYTHON}-slim-trixie
RUN groupadd --gid 10001 upnext \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --no-log-init \
        --shell /usr/sbin/nologin upnext \
    && install --directory --owner 10001 --group 10001 --mode 0750 /data
# Owned by root: a process that is broken into cannot change its own code.
COPY --from=build /opt/upnext /opt/upnext
# A container's network is its own: inside it, listening everywhere is what makes it reachable.
ENV PATH=/opt/upnext/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CONSUMPTION_HOST=0.0.0.0 \
    RECOMMENDATION_HOST=0.0.0.0 \
    LOG_FORMAT=json \
    HEALTH_PORT=8000
# Without any setting the databases are files in here; mount a volume to keep them.
WORKDIR /data
USER 10001:10001
EXPOSE 8000 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as http; http.urlopen(f'http://127.0.0.1:{os.environ[\"HEALTH_PORT\"]}/health/live', timeout=2)"]
CMD ["upnext", "run"]
