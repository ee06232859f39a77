#!/usr/bin/env bash
# What can depend on the database or the broker, on real servers: those of the variables below, or those of `make services`.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly STARTED=${TMPDIR:-/tmp}/ordersync-services/environment
# Of the slow tests, those that tell something of a server.
readonly PICKED="(not slow and not browser) or services"

if [[ -z ${ORDERSYNC_TEST_POSTGRESQL_URL:-} && -z ${ORDERSYNC_TEST_MARIADB_URL:-} && -z ${ORDERSYNC_TEST_REDIS_URL:-} ]]; then
    if [[ ! -O $STARTED ]]; then
        cat >&2 <<'END'
Name servers on this machine, all or some of them, with users that may make databases; what is in that Redis is deleted:
  export ORDERSYNC_TEST_POSTGRESQL_URL=postgresql+psycopg://user:password@127.0.0.1:5432/
  export ORDERSYNC_TEST_MARIADB_URL=mysql+pymysql://user:password@127.0.0.1:3306/
  export ORDERSYNC_TEST_REDIS_URL=redis://127.0.0.1:6379/15
Or let 'make services' start the system's own, with their data in a temporary folder; 'make services-stop' ends them.
END
        exit 2
    fi
    # shellcheck source=/dev/null
    . "$STARTED"
fi

run() {
    .venv/bin/python -m pytest -q -n 2 --dist loadgroup "$@"
}

if [[ -n ${ORDERSYNC_TEST_POSTGRESQL_URL:-} ]]; then
    run --database=postgresql -m "$PICKED" "$@"
fi
if [[ -n ${ORDERSYNC_TEST_MARIADB_URL:-} ]]; then
    run --database=mariadb -m "$PICKED" "$@"
fi
if [[ -n ${ORDERSYNC_TEST_REDIS_URL:-} ]]; then
    # One after the other: there is one Redis, and each test wants it empty.
    .venv/bin/python -m pytest -q --broker="$ORDERSYNC_TEST_REDIS_URL" -m "$PICKED" "$@"
fi
