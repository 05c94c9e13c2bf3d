#!/bin/sh
# Makes the secrets of the compose file, once: passwords, and the addresses that contain them.
# A password may be given as an environment variable, with letters and digits only, since it
# becomes part of an address; whatever is not given is random.
set -eu
cd /secrets
umask 022 # every container reads with a user of its own, and only containers see this volume

password() { # file name, value given
    if [ ! -s "$1" ]; then
        printf '%s' "${2:-$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')}" >"$1"
    fi
    cat "$1"
}

password postgres_password "${POSTGRES_PASSWORD:-}" >/dev/null
consumption=$(password consumption_password "${CONSUMPTION_PASSWORD:-}")
recommendation=$(password recommendation_password "${RECOMMENDATION_PASSWORD:-}")
rabbitmq=$(password rabbitmq_password "${RABBITMQ_PASSWORD:-}")

# The services read a file for each of these settings.
printf 'postgresql://consumption:%s@postgres/consumption' "$consumption" >consumption_database_url
printf 'postgresql://recommendation:%s@postgres/recommendation' "$recommendation" \
    >recommendation_database_url
printf 'amqp://upnext:%s@rabbitmq/' "$rabbitmq" >amqp_url
