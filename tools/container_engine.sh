# shellcheck shell=bash
# Podman, buildah and the real docker compose, set up inside $WORK; sourced by container_check.sh.

# Installs what is missing, and writes a configuration that touches no other containers here.
prepare_engine() {
    local package missing=()
    for package in buildah podman runc mmdebstrap iptables catatonit netavark aardvark-dns curl; do
        dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null | grep -q ' installed' ||
            missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends \
            "${missing[@]}" >"$WORK/apt.log" 2>&1
    fi
    cat >"$WORK/storage.conf" <<EOF
[storage]
driver = "overlay"
graphroot = "$WORK/graph"
runroot = "$WORK/run"
EOF
    # runc, because crun refuses hybrid cgroups; limits, because a sandbox may not raise them; and
    # short image names are ours, instead of those of a registry that is not there.
    cat >"$WORK/containers.conf" <<EOF
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
netns = "bridge"
[network]
network_backend = "netavark"
network_config_dir = "$WORK/networks"
[engine]
cgroup_manager = "cgroupfs"
compat_api_enforce_docker_hub = false
events_logger = "file"
runtime = "runc"
EOF
    export CONTAINERS_STORAGE_CONF=$WORK/storage.conf CONTAINERS_CONF=$WORK/containers.conf
}

# The mirror that this machine uses for its own packages.
mirror() {
    grep -rhoE '^(URIs: *|deb .*)https?://[^ ]+/debian/?( |$)' \
        /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
        grep -oE 'https?://[^ ]+' | head -n 1
}

# Unpacks trixie's docker compose without installing it: bookworm has only its predecessor.
unpack_compose() {
    COMPOSE=$WORK/compose/usr/libexec/docker/cli-plugins/docker-compose
    [ ! -x "$COMPOSE" ] || return 0
    mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/cache/archives/partial" "$WORK/compose"
    echo "deb [signed-by=$KEYRING] $(mirror) trixie main" >"$WORK/apt/sources.list"
    local apt=(apt-get -qq -o "Dir::State::Lists=$WORK/apt/lists" -o "Dir::Cache=$WORK/apt/cache"
        -o "Dir::Etc::SourceList=$WORK/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o APT::Sandbox::User=root)
    "${apt[@]}" update
    (cd "$WORK/apt" && "${apt[@]}" download docker-compose && dpkg -x docker-compose_*.deb "$WORK/compose")
}

# Starts podman's API, which compose speaks to, and a loop in place of the timers of systemd that
# podman would use for health checks.
start_engine() {
    podman system service --time 0 "unix://$WORK/podman.sock" >"$WORK/podman.log" 2>&1 &
    BACKGROUND=("$!")
    while sleep 3; do
        podman ps --quiet | xargs --no-run-if-empty --max-args=1 podman healthcheck run || true
    done >/dev/null 2>&1 &
    BACKGROUND+=("$!")
    export DOCKER_HOST=unix://$WORK/podman.sock
    until [ -S "$WORK/podman.sock" ]; do sleep 0.1; done
}

stop_engine() {
    [ ${#BACKGROUND[@]} -eq 0 ] || kill "${BACKGROUND[@]}" 2>/dev/null || true
    BACKGROUND=()
    # The storage of images mounts its own folder on itself, and leaves it so.
    umount --lazy "$WORK"/graph/overlay 2>/dev/null || true
}
