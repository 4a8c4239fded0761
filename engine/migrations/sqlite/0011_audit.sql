-- Who changed what: each entry is written in the transaction of the change that it tells of. Times are milliseconds since
-- 1970 in UTC. Every constraint's name is the sentence that it keeps true.
CREATE TABLE audit (
    number     INTEGER PRIMARY KEY AUTOINCREMENT, -- so that a number that was forgotten is not used again
    at         INTEGER NOT NULL,
    action     TEXT NOT NULL,                     -- kind and verb: 'destination.update'
    target     TEXT,                              -- the object's id; it may be gone since
    token_id   TEXT,                              -- a copy of the actor's, to look for
    actor      TEXT NOT NULL,                     -- JSON
    request_id TEXT,
    before     TEXT,                              -- JSON, without secrets
    after      TEXT,                              -- JSON, without secrets
    CONSTRAINT an_action_is_a_kind_and_a_verb CHECK (action GLOB '?*.?*')
) STRICT;

CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_target ON audit (target, number);
CREATE INDEX audit_by_token ON audit (token_id, number);

CREATE TRIGGER an_audit_entry_is_never_altered BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'an_audit_entry_is_never_altered'); END;
