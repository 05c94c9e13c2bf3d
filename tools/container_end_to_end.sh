# shellcheck shell=bash
# A watch, from the POST to a recommendation, to nothing; sourced by container_check.sh.

# Two people watch lesson 1, one of them goes on to lesson 2: it is the other's recommendation. When
# the one is erased, nothing is left to recommend it for.
check_end_to_end() {
    local watch
    consumption=http://127.0.0.1:$CONSUMPTION_PORT
    recommendation=http://127.0.0.1:$RECOMMENDATION_PORT
    await "$consumption/health/ready"
    await "$recommendation/health/ready"
    application_key=$(compose run --rm -T operator cat /run/secrets/application_key)
    admin_key=$(compose run --rm -T operator cat /run/secrets/api_key)
    check_locked
    for watch in '1 1' '1 2' '2 1'; do
        post_watch "${watch% *}" "${watch#* }"
    done
    eventually recommends 2 2
    erase 1
    eventually erased
    eventually forgot 2 2
    compose run --rm -T operator upnext parked list
}

check_locked() {
    [ "$(status "$consumption/watches")" = 401 ]
    [ "$(status --header "$(bearer "$application_key")" "$recommendation/stats")" = 403 ]
}

recommends() { # user, lesson
    ask --header "$(bearer "$application_key")" "$recommendation/users/$1/recommendations" |
        grep -q "\"lesson_id\": *$2\b"
}

forgot() { ! recommends "$@"; }

erase() { # user
    receipt=$(ask --request DELETE --header "$(bearer "$admin_key")" "$consumption/users/$1")
    receipt=$(grep -oE '"id": *"[^"]+"' <<<"$receipt" | head -n 1 | cut -d '"' -f 4)
}

erased() {
    ask --header "$(bearer "$admin_key")" "$consumption/erasures/$receipt" |
        grep -qE '"done": *true'
}

post_watch() { # user, lesson
    ask --header "$(bearer "$application_key")" --header 'Content-Type: application/json' \
        --data "{\"user_id\": $1, \"lesson_id\": $2, \"position\": 60}" "$consumption/watches" \
        >/dev/null
}

bearer() { echo "Authorization: Bearer $1"; }

ask() { curl --silent --show-error --fail "$@"; }

status() { curl --silent --output /dev/null --write-out '%{http_code}' "$@"; }

eventually() { # command
    for _ in $(seq 100); do
        ! "$@" || return 0
        sleep 0.2
    done
    echo "never: $*" >&2
    return 1
}

await() { # url
    curl --silent --fail --output /dev/null --max-time 5 --retry 60 --retry-delay 1 \
        --retry-all-errors "$1" || { echo "no answer from $1" >&2; return 1; }
}
