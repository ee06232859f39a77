#!/bin/sh
# Makes the files under ./secrets that docker-compose.yml hands to its services. A file that is there is left as it is.
set -eu
umask 077
cd "$(dirname "$0")/.."

# Nobody but their owner can enter the folder. The files themselves can be read by everybody: compose shows them in the containers
# with the owner and mode they have here, and the users in there are other ones.
mkdir -p secrets
chmod 700 secrets

random() { head -c "$1" /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'; }

make() {
    if [ -e "secrets/$1" ]; then return; fi
    printf '%s\n' "$2" >"secrets/.$1.new"
    chmod 444 "secrets/.$1.new"
    mv "secrets/.$1.new" "secrets/$1"
    printf 'made secrets/%s\n' "$1"
}

make postgres_password "$(random 24)"
make database_url "postgresql://ordersync:$(cat secrets/postgres_password)@postgres/ordersync"
make valkey_password "$(random 24)"
make redis_url "redis://ordersync:$(cat secrets/valkey_password)@valkey:6379/0"
make valkey_users "user default off
user ordersync on >$(cat secrets/valkey_password) ~* &* +@all -@dangerous -@admin +info"
make ordersync_secret_key "$(random 32)"
make flower_auth "ordersync:$(random 18)"

echo "The secrets are in secrets/; Flower's login is in secrets/flower_auth. Keep a copy of secrets/ordersync_secret_key apart from"
echo "the database's backups: without it the stored credentials of shops and ERPs cannot be read again."
