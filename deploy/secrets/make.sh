#!/bin/sh
# Makes the secrets of the compose file, once: passwords, keys, and the addresses that contain them.
# Each container gets a folder of its own, and in it only what it needs.
#
# A value may be given as an environment variable, with letters, digits and _ only, since it becomes
# part of an address; whatever is not given is random.
set -eu
cd /secrets
umask 022 # every container reads with a user of its own, and only it sees its folder

random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

secret() { # file, value given
    if [ ! -s "$1" ]; then
        printf '%s' "${2:-$(random)}" >"$1"
    fi
    cat "$1"
}

hash_of() { printf '%s' "$1" | sha256sum | cut -c 1-64; }

# PostgreSQL: its administrator; for each service a role that owns the tables, for the migrations,
# and one that reads and writes them.
secret postgres/postgres_password "${POSTGRES_PASSWORD:-}" >/dev/null
for service in consumption recommendation; do
    owner=$(secret "postgres/${service}_owner_password")
    user=$(secret "postgres/${service}_password")
    printf 'postgresql://%s_owner:%s@postgres/%s' "$service" "$owner" "$service" \
        >"migrate/${service}_database_url"
    printf 'postgresql://%s:%s@postgres/%s' "$service" "$user" "$service" \
        >"$service/${service}_database_url"
done

# RabbitMQ: a user for each service, and one for people.
consumption=$(secret consumption/amqp_password)
recommendation=$(secret recommendation/amqp_password)
operator=$(secret operator/amqp_password)
secret rabbitmq/erlang_cookie >/dev/null
sed -e "s/@CONSUMPTION@/$consumption/" -e "s/@RECOMMENDATION@/$recommendation/" \
    -e "s/@OPERATOR@/$operator/" /definitions.json >rabbitmq/definitions.json
printf 'amqp://consumption:%s@%s/' "$consumption" "$AMQP_HOST" >consumption/amqp_url
printf 'amqp://recommendation:%s@%s/' "$recommendation" "$AMQP_HOST" >recommendation/amqp_url

# The services know keys by their hashes; the keys themselves are for people to give out.
admin=$(secret operator/api_key "${ADMIN_KEY:-upnext_$(random)}")
application=$(secret operator/application_key "${APPLICATION_KEY:-upnext_$(random)}")
for service in consumption recommendation; do
    cat >"$service/api_keys" <<EOF
admin admin sha256:$(hash_of "$admin")
application watches:write,recommendations:read sha256:$(hash_of "$application")
EOF
done
