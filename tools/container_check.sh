#!/usr/bin/env bash
# Builds the image and runs the compose file, from `up` to a watch that became a recommendation and
# was erased again, on a Debian machine without Docker. Needs root.
#
#     tools/container_check.sh            scratch data in a new folder, removed at the end
#     WORK=folder tools/container_check.sh   keeps the images there; the next run takes seconds
#     CLUSTER=yes tools/container_check.sh   with three RabbitMQs, and two of each service
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HERE")
KEEP=${WORK:+yes}
WORK=$(realpath "${WORK:-$(mktemp --directory)}")
BACKGROUND=()
CONSUMPTION_PORT=${CONSUMPTION_PORT:-18000}
RECOMMENDATION_PORT=${RECOMMENDATION_PORT:-18001}
export CONSUMPTION_PORT RECOMMENDATION_PORT

# shellcheck source=tools/container_engine.sh
. "$HERE/container_engine.sh"
# shellcheck source=tools/container_stand_ins.sh
. "$HERE/container_stand_ins.sh"
# shellcheck source=tools/container_end_to_end.sh
. "$HERE/container_end_to_end.sh"

main() {
    [ "$(id -u)" = 0 ] || { echo "container_check needs root" >&2; exit 1; }
    mkdir -p "$WORK"
    trap clean_up EXIT
    prepare_engine
    say "buildah and podman are here"
    unpack_compose
    compose config --quiet
    say "docker compose $("$COMPOSE" version --short) accepts the file"
    make_stand_ins
    say "stand-in images are here"
    build_image
    say "the image is built: $(podman image inspect localhost/upnext --format '{{.Size}}') bytes"
    start_engine
    compose up --detach --no-build >"$WORK/up.log" 2>&1
    say "everything is up"
    check_end_to_end
    say "a watch became a recommendation, and was erased"
    check_confinement
    say "the services run confined, as uid 10001"
    check_rights
    say "the services can do in their servers what they need, and no more"
    compose stop >"$WORK/stop.log" 2>&1
    check_exit_codes
    say "the services stopped in good order"
}

say() { echo "[${SECONDS} s] $*"; }

compose() {
    "$COMPOSE" --project-name upnext-check --file "$ROOT/docker-compose.yml" \
        ${CLUSTER:+--file "$ROOT/docker-compose.cluster.yml"} "$@"
}

# Compose cannot hand this machine's certificates to a build; buildah can, and the Dockerfile stays
# clean of them.
build_image() {
    local certificates=/etc/ssl/certs/ca-certificates.crt
    buildah bud --layers --format docker --isolation chroot --pull-never \
        --volume "$certificates:$certificates:ro" --tag localhost/upnext \
        --ignorefile "$ROOT/.dockerignore" --file "$ROOT/Dockerfile" "$ROOT" \
        >"$WORK/build.log" 2>&1 || { tail -n 20 "$WORK/build.log" >&2; exit 1; }
}

check_confinement() {
    local service
    for service in consumption recommendation; do
        [ "$(podman exec "upnext-check-$service-1" id -u)" = 10001 ]
        if podman exec "upnext-check-$service-1" touch /opt/upnext/x 2>/dev/null; then return 1; fi
        podman healthcheck run "upnext-check-$service-1"
    done
}

# What a service could do if somebody got hold of its password.
check_rights() {
    refused 'must be owner of table watches' psql_as consumption consumption 'DROP TABLE watches'
    refused 'permission denied for schema' psql_as consumption consumption 'CREATE TABLE more ()'
    refused 'permission denied for database' psql_as consumption recommendation 'SELECT 1'
    [ "$(podman exec upnext-check-rabbitmq-1 rabbitmqctl --quiet list_users | cut -f 1 | sort | xargs)" = \
        'consumption operator recommendation user' ]
    for service in consumption recommendation; do
        if podman exec "upnext-check-$service-1" cat /run/secrets/api_key 2>/dev/null; then return 1; fi
    done
}

psql_as() { # role, database, statement
    podman exec upnext-check-postgres-1 sh -c \
        'PGPASSWORD=$(cat "/run/secrets/${1}_password") psql -h 127.0.0.1 -U "$1" -c "$3" "$2"' \
        psql "$@" 2>&1
}

refused() { # words, command
    local words=$1 said
    shift
    if said=$("$@"); then echo "not refused: $*" >&2; return 1; fi
    grep -q "$words" <<<"$said" || { echo "$*: $said" >&2; return 1; }
}

check_exit_codes() {
    local service code
    for service in consumption recommendation; do
        code=$(podman inspect "upnext-check-$service-1" --format '{{.State.ExitCode}}')
        [ "$code" = 0 ] || { echo "$service ended with $code" >&2; return 1; }
    done
}

show_failure() {
    tail -n 20 "$WORK/up.log" >&2
    compose ps --all >&2 || true
    compose logs --tail 20 >&2 || true
}

clean_up() {
    local status=$?
    [ "$status" = 0 ] || [ -z "${DOCKER_HOST:-}" ] || show_failure
    [ -z "${DOCKER_HOST:-}" ] || compose down --volumes >"$WORK/down.log" 2>&1 || true
    stop_engine
    [ -n "$KEEP" ] || rm -rf "$WORK"
    exit "$status"
}

main "$@"
