-- The whole store of one installation. Times are milliseconds since 1970 in UTC, days are days since 1970.
-- Every constraint's name is the sentence that it keeps true.

-- Facts about the installation itself: its id, the check value of the vault's key.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What users declared: sources, destinations, alarm channels.
CREATE TABLE object (
    id                 TEXT PRIMARY KEY,
    kind               TEXT NOT NULL,
    name               TEXT NOT NULL,
    generation         INTEGER NOT NULL,          -- grows with each change; the ETag
    spec               TEXT NOT NULL,             -- JSON without secrets
    spec_version       INTEGER NOT NULL,          -- the form of the JSON, so that old rows stay readable
    fingerprint        TEXT,                      -- keyed, over all stored secrets; null where none is stored
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    idempotency_key    TEXT,                      -- of the request that created it
    idempotency_digest BLOB,                      -- keyed digest of that request's body
    CONSTRAINT name_is_unique_within_its_kind UNIQUE (kind, name),
    CONSTRAINT idempotency_key_is_used_once UNIQUE (kind, idempotency_key),
    CONSTRAINT kind_is_known CHECK (kind IN ('source', 'destination', 'alarm_channel')),
    CONSTRAINT generation_grows_from_one CHECK (generation >= 1),
    CONSTRAINT key_and_digest_come_together CHECK ((idempotency_key IS NULL) = (idempotency_digest IS NULL))
) STRICT;

-- Secrets, sealed; the seal is bound to the object and the field.
CREATE TABLE object_secret (
    object_id  TEXT NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    field      TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (object_id, field)
) STRICT, WITHOUT ROWID;

-- Which object needs which; what is needed cannot be deleted.
CREATE TABLE object_reference (
    from_id TEXT NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    to_id   TEXT NOT NULL REFERENCES object (id) ON DELETE RESTRICT,
    PRIMARY KEY (from_id, to_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_reference_by_target ON object_reference (to_id);

-- One log type of one source: the unit that is leased, polled, checkpointed and judged healthy.
CREATE TABLE feed (
    id                INTEGER PRIMARY KEY,
    source_id         TEXT NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    log_type          TEXT NOT NULL,
    active            INTEGER NOT NULL,           -- the source is enabled and names this log type
    due_at            INTEGER NOT NULL,           -- when it wants to be polled next
    lease_owner       TEXT,
    lease_until       INTEGER,
    fence             INTEGER NOT NULL DEFAULT 0, -- grows with each claim; every commit names it
    checkpoint        TEXT NOT NULL,              -- JSON, moves only in the transaction that appends events
    watermark         INTEGER NOT NULL,           -- copy of the checkpoint's, so that the store can refuse a step back
    last_seq          INTEGER NOT NULL DEFAULT 0, -- the newest segment
    events            INTEGER NOT NULL DEFAULT 0, -- appended since the source was created
    created_at        INTEGER NOT NULL,
    last_poll_at      INTEGER,
    last_success_at   INTEGER,
    last_collected_at INTEGER,                    -- when the last new event was appended
    last_event_at     INTEGER,                    -- the newest event's own time
    failures          INTEGER NOT NULL DEFAULT 0, -- polls failed in a row
    trouble_code      TEXT,
    trouble_detail    TEXT,
    trouble_since     INTEGER,
    CONSTRAINT a_source_has_one_feed_of_each_log_type UNIQUE (source_id, log_type),
    CONSTRAINT log_type_is_known CHECK (log_type IN ('operation', 'activity')),
    CONSTRAINT a_lease_has_an_owner_and_an_end CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT trouble_is_told_whole CHECK (
        (trouble_code IS NULL) = (trouble_detail IS NULL) AND (trouble_code IS NULL) = (trouble_since IS NULL))
) STRICT;
CREATE INDEX feed_due ON feed (due_at) WHERE active = 1;

CREATE TRIGGER watermark_never_moves_back BEFORE UPDATE OF watermark ON feed
WHEN NEW.watermark < OLD.watermark
BEGIN SELECT RAISE(ABORT, 'watermark_never_moves_back'); END;

CREATE TRIGGER fence_never_moves_back BEFORE UPDATE OF fence ON feed
WHEN NEW.fence < OLD.fence
BEGIN SELECT RAISE(ABORT, 'fence_never_moves_back'); END;

-- The log of events: what one commit appended to a feed, as one compressed block. A segment goes once every position
-- has passed it and retention is over.
CREATE TABLE segment (
    feed_id    INTEGER NOT NULL REFERENCES feed (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    events     INTEGER NOT NULL,
    payload    BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (feed_id, seq),
    CONSTRAINT a_segment_holds_events CHECK (events >= 1)
) STRICT;
CREATE INDEX segment_by_age ON segment (created_at);

-- The prints of a segment's events, by day, in their order: 16 bytes an event. They outlive the segment, for as long as
-- Zoom can show the rows again; those of segments that are gone are joined into one row a day, under the last number.
CREATE TABLE segment_day (
    feed_id INTEGER NOT NULL REFERENCES feed (id) ON DELETE CASCADE,
    day     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    prints  BLOB NOT NULL,
    PRIMARY KEY (feed_id, day, seq),
    CONSTRAINT prints_are_whole CHECK (length(prints) > 0 AND length(prints) % 16 = 0)
) STRICT;
CREATE INDEX segment_day_by_segment ON segment_day (feed_id, seq);

-- Older days to collect, because a source begins in the past or somebody asked for them: one row a feed, and the feeds
-- of one request share its id.
CREATE TABLE backfill (
    id          TEXT NOT NULL,
    feed_id     INTEGER NOT NULL REFERENCES feed (id) ON DELETE CASCADE,
    from_day    INTEGER NOT NULL,
    until_day   INTEGER NOT NULL,
    state       TEXT NOT NULL DEFAULT 'running',
    progress    TEXT NOT NULL,                    -- JSON, moves only in the transaction that appends events
    next_day    INTEGER NOT NULL,                 -- copy of the progress's
    events      INTEGER NOT NULL DEFAULT 0,       -- that it added
    pages       INTEGER NOT NULL DEFAULT 0,       -- that it read
    trouble     TEXT,                             -- why it does not go on
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (id, feed_id),
    CONSTRAINT backfill_state_is_known CHECK (state IN ('running', 'done', 'cancelled')),
    CONSTRAINT a_backfill_that_runs_has_no_end CHECK ((state = 'running') = (finished_at IS NULL)),
    CONSTRAINT a_backfill_has_days CHECK (from_day <= until_day AND next_day >= from_day)
) STRICT;
CREATE INDEX backfill_running ON backfill (feed_id, created_at, id) WHERE state = 'running';

CREATE TRIGGER backfill_never_moves_back BEFORE UPDATE OF next_day ON backfill
WHEN NEW.next_day < OLD.next_day
BEGIN SELECT RAISE(ABORT, 'backfill_never_moves_back'); END;

-- A destination's delivery: leased as a whole, so that one writer appends to a file.
CREATE TABLE lane (
    destination_id    TEXT PRIMARY KEY REFERENCES object (id) ON DELETE CASCADE,
    due_at            INTEGER,                    -- when there is something to do; null while there is not
    lease_owner       TEXT,
    lease_until       INTEGER,
    fence             INTEGER NOT NULL DEFAULT 0,
    woken             INTEGER NOT NULL DEFAULT 0, -- since it was claimed: 1 there are new events, 2 its spec changed
    settled           TEXT,                       -- what the adapter must find again after a crash (a file's length), JSON
    writing           INTEGER NOT NULL DEFAULT 0, -- 1 while a write may have begun that is not settled
    last_delivered_at INTEGER,
    failures          INTEGER NOT NULL DEFAULT 0, -- tries failed in a row
    trouble_code      TEXT,
    trouble_detail    TEXT,
    trouble_since     INTEGER,
    CONSTRAINT a_lane_lease_has_an_owner_and_an_end CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT a_lane_is_asleep_or_woken CHECK (woken IN (0, 1, 2) AND writing IN (0, 1)),
    CONSTRAINT lane_trouble_is_told_whole CHECK (
        (trouble_code IS NULL) = (trouble_detail IS NULL) AND (trouble_code IS NULL) = (trouble_since IS NULL))
) STRICT;
CREATE INDEX lane_due ON lane (due_at) WHERE due_at IS NOT NULL;

CREATE TRIGGER lane_fence_never_moves_back BEFORE UPDATE OF fence ON lane
WHEN NEW.fence < OLD.fence
BEGIN SELECT RAISE(ABORT, 'lane_fence_never_moves_back'); END;

-- How far a destination has acknowledged a feed's log: all of the segments before `seq`, and `idx` events of `seq`.
CREATE TABLE position (
    feed_id           INTEGER NOT NULL REFERENCES feed (id) ON DELETE CASCADE,
    destination_id    TEXT NOT NULL REFERENCES lane (destination_id) ON DELETE CASCADE,
    seq               INTEGER NOT NULL,
    idx               INTEGER NOT NULL,
    staged_seq        INTEGER,                    -- the end of the batch that is being written; a retry writes it again
    staged_idx        INTEGER,
    last_delivered_at INTEGER,
    PRIMARY KEY (feed_id, destination_id),
    CONSTRAINT a_position_is_inside_the_log CHECK (seq >= 1 AND idx >= 0),
    CONSTRAINT staged_bounds_come_together CHECK ((staged_seq IS NULL) = (staged_idx IS NULL)),
    CONSTRAINT a_batch_ends_after_it_begins CHECK (
        staged_seq IS NULL OR staged_seq > seq OR (staged_seq = seq AND staged_idx > idx))
) STRICT, WITHOUT ROWID;
CREATE INDEX position_by_destination ON position (destination_id);

CREATE TRIGGER position_never_moves_back BEFORE UPDATE OF seq, idx ON position
WHEN NEW.seq < OLD.seq OR (NEW.seq = OLD.seq AND NEW.idx < OLD.idx)
BEGIN SELECT RAISE(ABORT, 'position_never_moves_back'); END;

-- Events that a destination refused for good, kept with the reason until they are accepted or deleted.
CREATE TABLE dead_letter (
    id             TEXT PRIMARY KEY,
    feed_id        INTEGER NOT NULL REFERENCES feed (id) ON DELETE CASCADE,
    destination_id TEXT NOT NULL REFERENCES lane (destination_id) ON DELETE CASCADE,
    event_id       TEXT NOT NULL,
    event          BLOB NOT NULL,                 -- the event with its print, as it can be read without the log
    sent           TEXT NOT NULL,                 -- the event as it was sent last: one line of JSON
    reason         TEXT NOT NULL,
    refused_at     INTEGER NOT NULL,
    replays        INTEGER NOT NULL DEFAULT 0,
    queued         INTEGER NOT NULL DEFAULT 0,    -- 1 while it waits to be sent again
    CONSTRAINT an_event_is_refused_once_by_a_destination UNIQUE (destination_id, event_id)
) STRICT;
CREATE INDEX dead_letter_queued ON dead_letter (destination_id) WHERE queued = 1;

-- The drop-off alarm of a feed.
CREATE TABLE alarm (
    feed_id  INTEGER PRIMARY KEY REFERENCES feed (id) ON DELETE CASCADE,
    state    TEXT NOT NULL,
    since    INTEGER NOT NULL,
    began_at INTEGER NOT NULL,                    -- since when the feed is watched; silence before is not counted
    cause    TEXT NOT NULL,
    due_at   INTEGER NOT NULL,                    -- when it is to be judged next
    CONSTRAINT alarm_state_is_known CHECK (state IN ('ok', 'alarm', 'insufficient_data'))
) STRICT;
CREATE INDEX alarm_due ON alarm (due_at);

-- Notices to alarm channels, written in the transaction that changes the alarm's state.
CREATE TABLE notice (
    id             TEXT PRIMARY KEY,
    channel_id     TEXT NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    subject        TEXT NOT NULL,                 -- the feed; a channel gets the notices of one subject in their order
    number         INTEGER NOT NULL,              -- their order
    body           TEXT NOT NULL,                 -- the JSON that is sent
    created_at     INTEGER NOT NULL,
    due_at         INTEGER NOT NULL,
    lease_owner    TEXT,
    lease_until    INTEGER,
    fence          INTEGER NOT NULL DEFAULT 0,
    attempts       INTEGER NOT NULL DEFAULT 0,
    trouble_code   TEXT,
    trouble_detail TEXT,
    trouble_since  INTEGER,
    sent_at        INTEGER,
    given_up_at    INTEGER,
    CONSTRAINT notices_of_a_subject_are_numbered UNIQUE (channel_id, subject, number),
    CONSTRAINT a_notice_lease_has_an_owner_and_an_end CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT notice_trouble_is_told_whole CHECK (
        (trouble_code IS NULL) = (trouble_detail IS NULL) AND (trouble_code IS NULL) = (trouble_since IS NULL)),
    CONSTRAINT a_notice_is_sent_or_given_up CHECK (sent_at IS NULL OR given_up_at IS NULL)
) STRICT;
CREATE INDEX notice_due ON notice (due_at) WHERE sent_at IS NULL AND given_up_at IS NULL;

-- The requests of one Zoom account today; one account may have several sources.
CREATE TABLE budget (
    account      TEXT PRIMARY KEY,                -- API host and account id
    day          INTEGER NOT NULL,                -- UTC day that `used` counts
    used         INTEGER NOT NULL,
    remaining    INTEGER,                         -- what Zoom's own header said last, for `day`
    paused_until INTEGER,                         -- Zoom's daily limit was hit
    CONSTRAINT used_is_counted_up CHECK (used >= 0)
) STRICT;
