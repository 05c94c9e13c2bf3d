# shellcheck shell=bash
# Images made from Debian's packages under the tags of the official ones, which cannot be pulled
# without a registry. They keep the contract of the originals that our files rely on: paths, users,
# variables, initialisation scripts. Sourced by container_check.sh.

PYTHON_IMAGE=python:3.13-slim-trixie
POSTGRES_IMAGE=postgres:18
RABBITMQ_IMAGE=rabbitmq:4.3-management
HAPROXY_IMAGE=haproxy:3.2

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

make_stand_ins() {
    python_image
    debian_image "$POSTGRES_IMAGE" postgresql postgres_setup postgres_entrypoint
    debian_image "$RABBITMQ_IMAGE" rabbitmq-server rabbitmq_setup rabbitmq_entrypoint
    [ -z "${CLUSTER:-}" ] || debian_image "$HAPROXY_IMAGE" haproxy haproxy_setup haproxy_entrypoint
}

python_image() {
    ! podman image exists "localhost/$PYTHON_IMAGE" || return 0
    # shellcheck disable=SC2016 # mmdebstrap passes the new root as $1
    mmdebstrap --quiet --mode=root --variant=minbase --keyring="$KEYRING" \
        --include=python3,python3-pip,python3-venv,ca-certificates,netbase,tzdata \
        --customize-hook='ln -s ../../bin/python3 "$1/usr/local/bin/python"' \
        trixie - "$(mirror)" 2>"$WORK/base.log" |
        podman import --quiet --change 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            --change 'ENV LANG=C.UTF-8' --change 'CMD ["python3"]' - "localhost/$PYTHON_IMAGE" \
            >/dev/null
}

debian_image() { # image, package, function that prints instructions, function that prints a script
    ! podman image exists "localhost/$1" || return 0
    local folder=$WORK/stand-in-$2
    mkdir -p "$folder"
    "$4" >"$folder/docker-entrypoint.sh"
    chmod +x "$folder/docker-entrypoint.sh"
    {
        containerfile "$2"
        "$3"
    } >"$folder/Containerfile"
    buildah bud --isolation chroot --pull-never --tag "localhost/$1" "$folder" \
        >"$folder/build.log" 2>&1 || { tail -n 20 "$folder/build.log" >&2; return 1; }
}

containerfile() { # package
    cat <<EOF
FROM localhost/$PYTHON_IMAGE
# Packages would start their services; this is Debian's way to say no.
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
RUN apt-get -qq update \\
 && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $1 \\
 && rm -rf /var/lib/apt/lists/*
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
EOF
}

postgres_setup() {
    cat <<'EOF'
RUN rm -rf /var/lib/postgresql/* && mkdir /docker-entrypoint-initdb.d \
 && chown postgres /var/lib/postgresql /var/run/postgresql \
 && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/
ENV PGDATA=/var/lib/postgresql/18/docker
VOLUME /var/lib/postgresql
USER postgres
STOPSIGNAL SIGINT
CMD ["postgres"]
EOF
}

postgres_entrypoint() {
    cat <<'EOF'
#!/bin/sh
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    initdb --pgdata="$PGDATA" --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" \
        --auth-host=scram-sha-256 --auth-local=trust >/dev/null
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses=''" --wait start >/dev/null
    for script in /docker-entrypoint-initdb.d/*.sh; do "$script"; done
    pg_ctl --pgdata="$PGDATA" --wait stop >/dev/null
fi
exec "$@" -c listen_addresses='*'
EOF
}

rabbitmq_setup() {
    cat <<'EOF'
RUN rm -rf /var/lib/rabbitmq/* /var/lib/rabbitmq/.erlang.cookie \
 && rabbitmq-plugins enable --offline rabbitmq_management \
 && mkdir -p /etc/rabbitmq/conf.d && chown -R rabbitmq /var/lib/rabbitmq /etc/rabbitmq
VOLUME /var/lib/rabbitmq
USER rabbitmq
ENV HOME=/var/lib/rabbitmq
CMD ["rabbitmq-server"]
EOF
}

rabbitmq_entrypoint() {
    cat <<'EOF'
#!/bin/sh
set -eu
exec /usr/lib/rabbitmq/bin/"$@"
EOF
}

haproxy_setup() {
    cat <<'EOF'
RUN mkdir -p /usr/local/etc/haproxy
USER haproxy
STOPSIGNAL SIGUSR1
CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
EOF
}

haproxy_entrypoint() {
    cat <<'EOF'
#!/bin/sh
exec "$@" -W -db
EOF
}
