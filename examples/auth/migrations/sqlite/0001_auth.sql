-- Clients. Times are milliseconds since 1970, scopes a JSON list of strings, access tokens sealed with a key that is not in here.
CREATE TABLE clients (
    client_id TEXT NOT NULL PRIMARY KEY,
    access_token TEXT NOT NULL,
    description TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires INTEGER NOT NULL,
    disabled INTEGER NOT NULL,
    delete_on_expiration INTEGER NOT NULL,
    created INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    last_date_used INTEGER NOT NULL,
    last_rotated INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX clients_to_purge ON clients (expires) WHERE delete_on_expiration;

CREATE TABLE roles (
    role_id TEXT NOT NULL PRIMARY KEY,
    scopes TEXT NOT NULL,
    description TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_modified INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row. Every change of a role counts it up, so that nobody decides about cycles on roles that have changed since.
CREATE TABLE roles_version (version INTEGER NOT NULL) STRICT;

INSERT INTO roles_version (version) VALUES (0);

-- AUTOINCREMENT: a position is never used again, even when the newest entry is gone.
CREATE TABLE audit (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    entity_type TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    action_type TEXT NOT NULL,
    client_id TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE INDEX audit_of_entity ON audit (entity_type, entity_id, position);

CREATE INDEX audit_of_client ON audit (client_id, position);

CREATE INDEX audit_to_purge ON audit (created);
