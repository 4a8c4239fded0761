-- What somebody's consent gave for a source: a refresh token, which Zoom replaces at every use. Times are milliseconds
-- since 1970 in UTC. Every constraint's name is the sentence that it keeps true.
CREATE TABLE consent (
    source_id      TEXT COLLATE "C" PRIMARY KEY REFERENCES object (id) ON DELETE CASCADE,
    client_id      TEXT COLLATE "C" NOT NULL,                 -- the app that the token was given to; to any other it is worth nothing
    account_id     TEXT COLLATE "C",                          -- the Zoom account, where Zoom tells it
    token          BYTEA NOT NULL,                -- the newest refresh token, sealed
    number         BIGINT NOT NULL,               -- grows with each token that is stored
    given_at       BIGINT NOT NULL,               -- when somebody consented
    refreshed_at   BIGINT NOT NULL,               -- when Zoom gave the newest token
    due_at         BIGINT NOT NULL,               -- when it is to be renewed, should nobody need it before
    failures       BIGINT NOT NULL DEFAULT 0,     -- renewals failed in a row
    lease_owner    TEXT,                          -- who renews it now: one at a time, since each renewal voids the last
    lease_until    BIGINT,
    fence          BIGINT NOT NULL DEFAULT 0,     -- grows with each claim and each consent; every write names it
    trouble_code   TEXT,
    trouble_detail TEXT,
    trouble_since  BIGINT,
    CONSTRAINT tokens_are_numbered_from_one CHECK (number >= 1),
    CONSTRAINT a_consent_lease_has_an_owner_and_an_end CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT consent_trouble_is_told_whole CHECK (
        (trouble_code IS NULL) = (trouble_detail IS NULL) AND (trouble_code IS NULL) = (trouble_since IS NULL))
);

CREATE INDEX consent_due ON consent (due_at);

CREATE TRIGGER consent_fence_never_moves_back BEFORE UPDATE OF fence ON consent
FOR EACH ROW WHEN (NEW.fence < OLD.fence) EXECUTE FUNCTION refuse();

CREATE TRIGGER consent_number_never_moves_back BEFORE UPDATE OF number ON consent
FOR EACH ROW WHEN (NEW.number < OLD.number) EXECUTE FUNCTION refuse();

-- Answers of Zoom's that have been used, by a digest of their state, until they would have expired anyway.
CREATE TABLE consent_answer (
    digest     BYTEA PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
