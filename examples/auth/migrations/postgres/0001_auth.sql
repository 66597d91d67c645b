-- Clients. Times are milliseconds since 1970, scopes a JSON list of strings, access tokens sealed with a key that is not in here.
-- Ids sort by their bytes everywhere, whatever the database's own order is.
CREATE TABLE clients (
    client_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    access_token TEXT NOT NULL,
    description TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires BIGINT NOT NULL,
    disabled BOOLEAN NOT NULL,
    delete_on_expiration BOOLEAN NOT NULL,
    created BIGINT NOT NULL,
    last_modified BIGINT NOT NULL,
    last_date_used BIGINT NOT NULL,
    last_rotated BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE INDEX clients_to_purge ON clients (expires) WHERE delete_on_expiration;

CREATE TABLE roles (
    role_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    scopes TEXT NOT NULL,
    description TEXT NOT NULL,
    created BIGINT NOT NULL,
    last_modified BIGINT NOT NULL
);

-- One row. Every change of a role counts it up, so that nobody decides about cycles on roles that have changed since.
CREATE TABLE roles_version (version BIGINT NOT NULL);

INSERT INTO roles_version (version) VALUES (0);

-- Writers take a lock before they take a position, so that entries become visible in the order of their positions.
CREATE TABLE audit (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_type TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    action_type TEXT NOT NULL,
    client_id TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE INDEX audit_of_entity ON audit (entity_type, entity_id, position);

CREATE INDEX audit_of_client ON audit (client_id, position);

CREATE INDEX audit_to_purge ON audit (created);
