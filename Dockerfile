# One image for every process of Order Sync; docker-compose.yml says which command each one runs.
FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

# Not root, with a home of its own: beat's schedule and a generated key stand there unless the environment says otherwise.
RUN useradd --system --create-home --home-dir /var/lib/ordersync --uid 10001 ordersync

WORKDIR /src
COPY pyproject.toml constraints.txt ./
COPY app app
COPY tasks tasks
COPY workers workers
# The server in the extra `embedded` is left out: a deployment has a broker of its own.
RUN pip install --constraint constraints.txt . && rm -rf /src/*

USER ordersync
WORKDIR /var/lib/ordersync
ENV ORDERSYNC_VAR=/var/lib/ordersync/var
# Made here so that a named volume mounted on it belongs to the user.
RUN mkdir -p /var/lib/ordersync/var
CMD ["ordersync", "--help"]
