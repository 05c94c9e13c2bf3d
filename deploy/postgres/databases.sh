#!/bin/sh
# Runs once, in an empty PostgreSQL: a database for each service, a role that owns it and migrates
# it, and a role for the service, which reads and writes rows and can enter no other database.
set -eu

for service in consumption recommendation; do
    psql --quiet --set ON_ERROR_STOP=1 --username postgres \
        --set service="$service" --set owner="${service}_owner" \
        --set password="$(cat "/run/secrets/${service}_password")" \
        --set owner_password="$(cat "/run/secrets/${service}_owner_password")" <<'SQL'
CREATE ROLE :"owner" LOGIN PASSWORD :'owner_password';
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"owner";
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"service" TO :"service";
\connect :"service"
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner"
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT USAGE ON SEQUENCES TO :"service";
SQL
done
