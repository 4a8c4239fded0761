-- The engines that share this database. Times are milliseconds since 1970 in UTC, by this database's clock.
CREATE TABLE engine (
    id          TEXT COLLATE "C" PRIMARY KEY,     -- what its leases name
    alive_until BIGINT NOT NULL,                  -- it says again and again that it lives; after this instant it does not
    leaving     BIGINT NOT NULL DEFAULT 0         -- 1 while it ends what it has in hand, and wants no more
);

-- What all engines go by: theirs may differ.
CREATE FUNCTION clock_ms() RETURNS BIGINT LANGUAGE sql VOLATILE
    RETURN CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT);

-- One of 256 slots, which the engines share out among themselves.
CREATE FUNCTION slot(id TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE
    RETURN CAST(get_byte(decode(md5(id), 'hex'), 0) AS BIGINT);
