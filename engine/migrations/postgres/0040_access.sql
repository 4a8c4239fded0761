-- The access token of each credential, for all engines. Times are milliseconds since 1970 in UTC. Every constraint's name
-- is the sentence that it keeps true.
CREATE TABLE access_token (
    credential  TEXT COLLATE "C" PRIMARY KEY, -- a keyed digest: tells credentials apart, and nothing of their secrets
    token       BYTEA,                        -- with the host that it is good at, sealed; none while it is asked for
    renew_at    BIGINT,                       -- used until then
    touched_at  BIGINT NOT NULL,              -- when anything was written here last
    lease_owner TEXT,                         -- who asks Zoom for one now
    lease_until BIGINT,
    fence       BIGINT NOT NULL,              -- grows with each claim and each token; every write names it
    CONSTRAINT an_access_token_has_an_end CHECK ((token IS NULL) = (renew_at IS NULL)),
    CONSTRAINT an_access_lease_has_an_owner_and_an_end CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT nobody_asks_while_a_token_is_there CHECK (token IS NULL OR lease_owner IS NULL)
);

CREATE TRIGGER access_fence_never_moves_back BEFORE UPDATE OF fence ON access_token
FOR EACH ROW WHEN (NEW.fence < OLD.fence) EXECUTE FUNCTION refuse();
