-- Tokens for the API. Their texts are not here: each holds 256 random bits, so a plain digest tells nothing about it.
-- Times are milliseconds since 1970 in UTC. Every constraint's name is the sentence that it keeps true.
CREATE TABLE token (
    id           TEXT COLLATE "C" PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL,
    scope        TEXT NOT NULL,
    digest       BYTEA NOT NULL,                  -- SHA-256 of the text
    parent_id    TEXT COLLATE "C" REFERENCES token (id) ON DELETE CASCADE, -- the token that made it; null for the admin token
    issuer       TEXT,                            -- who spoke for the workload that it was given to
    subject      TEXT COLLATE "C",                            -- that workload
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,                          -- written every few minutes at most
    revoked_at   BIGINT,
    CONSTRAINT scope_is_known CHECK (scope IN ('read', 'write', 'admin')),
    CONSTRAINT digest_is_a_sha_256 CHECK (length(digest) = 32),
    CONSTRAINT a_workload_has_an_issuer_and_a_subject CHECK ((issuer IS NULL) = (subject IS NULL)),
    CONSTRAINT a_workloads_token_ends CHECK (issuer IS NULL OR expires_at IS NOT NULL)
);

CREATE INDEX token_by_parent ON token (parent_id);

CREATE TRIGGER a_revoked_token_stays_revoked BEFORE UPDATE OF revoked_at ON token
FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at) EXECUTE FUNCTION refuse();
