-- What somebody's consent gave for a source: a refresh token, which Zoom replaces at every use. Times are milliseconds
-- since 1970 in UTC. Every constraint's name is the sentence that it keeps true.
CREATE TABLE consent (
    source_id      TEXT PRIMARY KEY REFERENCES object (id) ON DELETE CASCADE,
    client_id      TEXT NOT NULL,                 -- the app that the token was given to; to any other it is worth nothing
    account_id     TEXT,                          -- the Zoom account, where Zoom tells it
    token          BLOB NOT NULL,                 -- the newest refresh token, sealed
    number         INTEGER NOT NULL,              -- grows with each token that is stored
    given_at       INTEGER NOT NULL,              -- when somebody consented
    refreshed_at   INTEGER NOT NULL,              -- when Zoom gave the newest token
    due_at         INTEGER NOT NULL,              -- when it is to be renewed, should nobody need it before
    failures       INTEGER NOT NULL DEFAULT 0,    -- renewals failed in a row
    lease_owner    TEXT,                          -- who renews it now: one at a time, since each renewal voids the last
    lease_until    INTEGER,
    fence          INTEGER NOT NULL DEFAULT 0,    -- grows with each claim and each consent; every write names it
    trouble_code   TEXT,
    trouble_detail TEXT,
    trouble_since  INTEGER,
    CONSTRAINT tokens_are_numbered_from_one CHECK (number >= 1),
    CONSTRAINT a_consent_lease_has_an_owner_and_an_end CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT consent_trouble_is_told_whole CHECK (
        (trouble_code IS NULL) = (trouble_detail IS NULL) AND (trouble_code IS NULL) = (trouble_since IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX consent_due ON consent (due_at);

CREATE TRIGGER consent_fence_never_moves_back BEFORE UPDATE OF fence ON consent
WHEN NEW.fence < OLD.fence
BEGIN SELECT RAISE(ABORT, 'consent_fence_never_moves_back'); END;

CREATE TRIGGER consent_number_never_moves_back BEFORE UPDATE OF number ON consent
WHEN NEW.number < OLD.number
BEGIN SELECT RAISE(ABORT, 'consent_number_never_moves_back'); END;

-- Answers of Zoom's that have been used, by a digest of their state, until they would have expired anyway.
CREATE TABLE consent_answer (
    digest     BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
