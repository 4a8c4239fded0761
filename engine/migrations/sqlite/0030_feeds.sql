-- Thousands of feeds: what is looked for at each poll is found by an index, however many there are.

-- Polls that were made by a clock which has been put back since.
CREATE INDEX feed_by_last_poll ON feed (last_poll_at) WHERE active = 1;
-- Feeds that are being polled: as many as are polled at once.
CREATE INDEX feed_by_lease ON feed (lease_until) WHERE lease_until IS NOT NULL;
