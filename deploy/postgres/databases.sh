#!/bin/sh
# Runs once, in an empty PostgreSQL: a database for each service, and a role that owns it and can
# enter no other.
set -eu

for service in consumption recommendation; do
    psql --quiet --set ON_ERROR_STOP=1 --username postgres \
        --set service="$service" --set password="$(cat "/run/secrets/${service}_password")" <<'SQL'
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"service";
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
SQL
done
