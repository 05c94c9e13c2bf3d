#!/usr/bin/env bash
# Builds the image and runs the compose file, from `up` to a watch that became a recommendation and
# back to nothing, on a Debian machine without Docker. Needs root.
#
#     tools/container_check.sh            scratch data in a new folder, removed at the end
#     WORK=folder tools/container_check.sh   keeps the images there; the next run takes seconds
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
    compose up --detach --no-build >"$WORK/up.log" 2>&1 || { show_failure; exit 1; }
    say "everything is up"
    check_learning || { show_failure; exit 1; }
    say "a watch became a recommendation"
    check_confinement
    say "the services run confined, as uid 10001"
    compose stop >"$WORK/stop.log" 2>&1
    check_exit_codes
    say "the services stopped in good order"
}

say() { echo "[${SECONDS} s] $*"; }

compose() { "$COMPOSE" --project-name upnext-check --file "$ROOT/docker-compose.yml" "$@"; }

# Compose cannot hand this machine's certificates to a build; buildah can, and the Dockerfile stays
# clean of them.
build_image() {
    local certificates=/etc/ssl/certs/ca-certificates.crt
    buildah bud --layers --format docker --isolation chroot --pull-never \
        --volume "$certificates:$certificates:ro" --tag localhost/upnext \
        --ignorefile "$ROOT/.dockerignore" --file "$ROOT/Dockerfile" "$ROOT" \
        >"$WORK/build.log" 2>&1 || { tail -n 20 "$WORK/build.log" >&2; exit 1; }
}

# Two people watch lesson 1, one of them goes on to lesson 2: it is the other's recommendation.
check_learning() {
    local watch recommended
    await "http://127.0.0.1:$CONSUMPTION_PORT/health/ready"
    await "http://127.0.0.1:$RECOMMENDATION_PORT/health/ready"
    for watch in '1 1' '1 2' '2 1'; do
        post_watch "${watch% *}" "${watch#* }"
    done
    recommended="http://127.0.0.1:$RECOMMENDATION_PORT/users/2/recommendations"
    for _ in $(seq 50); do
        ! curl --silent "$recommended" | grep -q '"lesson_id": *2\b' || return 0
        sleep 0.2
    done
    echo "not recommended: $(curl --silent "$recommended")" >&2
    return 1
}

post_watch() { # user, lesson
    curl --silent --show-error --fail --output /dev/null --header 'Content-Type: application/json' \
        --data "{\"user_id\": $1, \"lesson_id\": $2, \"position\": 60}" \
        "http://127.0.0.1:$CONSUMPTION_PORT/watches"
}

await() { # url
    curl --silent --fail --output /dev/null --max-time 5 --retry 60 --retry-delay 1 \
        --retry-all-errors "$1" || { echo "no answer from $1" >&2; return 1; }
}

check_confinement() {
    local service
    for service in consumption recommendation; do
        [ "$(podman exec "upnext-check-$service-1" id -u)" = 10001 ]
        if podman exec "upnext-check-$service-1" touch /opt/upnext/x 2>/dev/null; then return 1; fi
        podman healthcheck run "upnext-check-$service-1"
    done
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
    [ -z "${DOCKER_HOST:-}" ] || compose down --volumes >"$WORK/down.log" 2>&1 || true
    stop_engine
    [ -n "$KEEP" ] || rm -rf "$WORK"
}

main "$@"
