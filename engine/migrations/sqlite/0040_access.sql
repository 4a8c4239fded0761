-- The access token of each credential, for all engines. Times are milliseconds since 1970 in UTC. Every constraint's name
-- is the sentence that it keeps true.
CREATE TABLE access_token (
    credential  TEXT PRIMARY KEY,             -- a keyed digest: tells credentials apart, and nothing of their secrets
    token       BLOB,                         -- with the host that it is good at, sealed; none while it is asked for
    renew_at    INTEGER,                      -- used until then
    touched_at  INTEGER NOT NULL,             -- when anything was written here last
    lease_owner TEXT,                         -- who asks Zoom for one now
    lease_until INTEGER,
    fence       INTEGER NOT NULL,             -- grows with each claim and each token; every write names it
    CONSTRAINT an_access_token_has_an_end CHECK ((token IS NULL) = (renew_at IS NULL)),
    CONSTRAINT an_access_lease_has_an_owner_and_an_end CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT nobody_asks_while_a_token_is_there CHECK (token IS NULL OR lease_owner IS NULL)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER access_fence_never_moves_back BEFORE UPDATE OF fence ON access_token
WHEN NEW.fence < OLD.fence
BEGIN SELECT RAISE(ABORT, 'access_fence_never_moves_back'); END;
