-- How far a destination that gets the audit log has acknowledged it: all entries up to `number`. Every constraint's name
-- is the sentence that it keeps true.
CREATE TABLE audit_position (
    destination_id TEXT PRIMARY KEY REFERENCES lane (destination_id) ON DELETE CASCADE,
    number         INTEGER NOT NULL,
    staged         INTEGER,                       -- the end of the batch that is being written; a retry writes it again
    CONSTRAINT an_audit_batch_ends_after_it_begins CHECK (staged IS NULL OR staged > number)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_position_never_moves_back BEFORE UPDATE OF number ON audit_position
WHEN NEW.number < OLD.number
BEGIN SELECT RAISE(ABORT, 'audit_position_never_moves_back'); END;
