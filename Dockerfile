# One image for every process of Order Sync; docker-compose.yml says which command each one runs. No secret is in it.
FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

# Not root, with a home of its own for logs.
RUN useradd --system --create-home --home-dir /var/lib/ordersync --uid 10001 ordersync

# The libraries first, by themselves: a change of our code leaves this layer as it is. The server in the extra `embedded` is left
# out: a deployment has a broker of its own.
WORKDIR /src
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" >libraries.txt \
    && pip install --constraint constraints.txt --requirement libraries.txt

COPY app app
COPY tasks tasks
COPY workers workers
RUN pip install --no-deps . && rm -rf /src/*

USER ordersync
WORKDIR /var/lib/ordersync
ENV ORDERSYNC_VAR=/var/lib/ordersync/var
# Made here so that a volume mounted on it belongs to the user.
RUN mkdir -p /var/lib/ordersync/var
CMD ["ordersync", "--help"]
