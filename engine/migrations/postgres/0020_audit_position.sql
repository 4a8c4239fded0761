-- How far a destination that gets the audit log has acknowledged it: all entries up to `number`. Every constraint's name
-- is the sentence that it keeps true.
CREATE TABLE audit_position (
    destination_id TEXT COLLATE "C" PRIMARY KEY REFERENCES lane (destination_id) ON DELETE CASCADE,
    number         BIGINT NOT NULL,
    staged         BIGINT,                        -- the end of the batch that is being written; a retry writes it again
    CONSTRAINT an_audit_batch_ends_after_it_begins CHECK (staged IS NULL OR staged > number)
);

CREATE TRIGGER audit_position_never_moves_back BEFORE UPDATE OF number ON audit_position
FOR EACH ROW WHEN (NEW.number < OLD.number) EXECUTE FUNCTION refuse();
