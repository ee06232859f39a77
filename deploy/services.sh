#!/usr/bin/env bash
# A PostgreSQL, a MariaDB and a Redis for tests: the system's own programs, with their data in one folder and on free ports of
# loopback, beside whatever runs already. Nothing in them survives a power cut, and everybody on this machine may use them.
#
#   deploy/services.sh start FOLDER   starts all three and writes FOLDER/environment, to be read by a shell
#   deploy/services.sh stop FOLDER    stops them and takes the folder away
set -euo pipefail

readonly WHAT=${1:-} FOLDER=${2:-}
if [[ ! $WHAT =~ ^(start|stop)$ || -z $FOLDER ]]; then
    echo "usage: $0 start|stop FOLDER" >&2
    exit 2
fi

fail() {
    echo "$0: $*" >&2
    exit 1
}

# The folder of the newest PostgreSQL: Debian keeps its programs off the PATH.
postgresql_programs() {
    local found
    found=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
    [[ -n $found ]] || found=$(command -v initdb) || fail "There is no PostgreSQL server here; install the package postgresql."
    dirname "$(readlink -f "$found")"
}

program() { # name, package
    PATH=$PATH:/usr/sbin command -v "$1" || fail "There is no $1 here; install the package $2."
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# A folder of the service's own. The databases refuse root, so there they run as their packages' users.
own_folder() { # name, user
    mkdir -p "$FOLDER/$1"
    if [[ $EUID -eq 0 ]]; then
        chown "$2" "$FOLDER/$1"
    fi
}

as_user() { # user, command ...
    local user=$1
    shift
    if [[ $EUID -eq 0 ]]; then
        (cd / && exec runuser -u "$user" -- "$@")
    else
        "$@"
    fi
}

start_postgresql() {
    local programs port
    programs=$(postgresql_programs)
    port=$(free_port)
    own_folder postgresql postgres
    as_user postgres "$programs/initdb" -D "$FOLDER/postgresql/data" -U postgres -A trust -E UTF8 --locale=C --no-sync \
        --no-instructions >/dev/null
    as_user postgres "$programs/pg_ctl" -D "$FOLDER/postgresql/data" -l "$FOLDER/postgresql/log" -w -s start -o \
        "-p $port -k $FOLDER/postgresql -c listen_addresses=127.0.0.1 -c max_connections=200 \
         -c fsync=off -c synchronous_commit=off -c full_page_writes=off" ||
        fail "PostgreSQL did not start: $(tail -n 3 "$FOLDER/postgresql/log")"
    echo "export ORDERSYNC_TEST_POSTGRESQL_URL=postgresql+psycopg://postgres@127.0.0.1:$port/" >>"$FOLDER/environment"
}

stop_postgresql() {
    local programs
    programs=$(postgresql_programs)
    as_user postgres "$programs/pg_ctl" -D "$FOLDER/postgresql/data" -m immediate -w -s stop || true
}

start_mariadb() {
    local server client port said
    server=$(program mariadbd mariadb-server)
    client=$(program mariadb mariadb-client)
    port=$(free_port)
    own_folder mariadb mysql
    said=$(as_user mysql mariadb-install-db --no-defaults --datadir="$FOLDER/mariadb/data" \
        --auth-root-authentication-method=normal --skip-test-db 2>&1) || fail "MariaDB's tables were not made: $said"
    as_user mysql setsid "$server" --no-defaults --datadir="$FOLDER/mariadb/data" --socket="$FOLDER/mariadb/socket" \
        --pid-file="$FOLDER/mariadb/pid" --port="$port" --bind-address=127.0.0.1 --max-connections=200 \
        --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=OFF --innodb-flush-method=nosync \
        >"$FOLDER/mariadb.log" 2>&1 </dev/null &
    local client_options=(--no-defaults --socket="$FOLDER/mariadb/socket" --user=root)
    for _ in {1..150}; do
        "$client" "${client_options[@]}" --execute="GRANT ALL ON *.* TO test@'%' IDENTIFIED BY 'test' WITH GRANT OPTION" \
            >/dev/null 2>&1 && break
        sleep 0.2
    done
    "$client" "${client_options[@]}" --execute='SELECT 1' >/dev/null 2>&1 ||
        fail "MariaDB did not start: $(tail -n 3 "$FOLDER/mariadb.log")"
    echo "export ORDERSYNC_TEST_MARIADB_URL=mysql+pymysql://test:test@127.0.0.1:$port/" >>"$FOLDER/environment"
}

start_redis() {
    local server port
    server=$(program redis-server redis-server)
    port=$(free_port)
    mkdir -p "$FOLDER/redis"
    "$server" --port "$port" --bind 127.0.0.1 --dir "$FOLDER/redis" --pidfile "$FOLDER/redis/pid" --daemonize yes \
        --save '' --appendonly no --logfile "$FOLDER/redis/log" >/dev/null
    for _ in {1..50}; do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
        sleep 0.1
    done
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || fail "Redis did not start: $(tail -n 3 "$FOLDER/redis/log")"
    echo "export ORDERSYNC_TEST_REDIS_URL=redis://127.0.0.1:$port/0" >>"$FOLDER/environment"
}

# By the number that the server itself wrote, and until it is gone.
stop_by_pid() { # file
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null || return 0
    for _ in {1..100}; do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
}

stop_all() {
    [[ ! -e $FOLDER/postgresql/data/postmaster.pid ]] || stop_postgresql
    stop_by_pid "$FOLDER/mariadb/pid"
    stop_by_pid "$FOLDER/redis/pid"
    rm -rf "$FOLDER"
}

case $WHAT in
start)
    [[ ! -e $FOLDER/environment ]] || fail "The services of $FOLDER run already; stop them first."
    mkdir -p "$FOLDER"
    chmod 755 "$FOLDER"
    trap 'stop_all' ERR EXIT
    start_postgresql
    start_mariadb
    start_redis
    trap - ERR EXIT
    cat "$FOLDER/environment"
    ;;
stop)
    stop_all
    ;;
esac
