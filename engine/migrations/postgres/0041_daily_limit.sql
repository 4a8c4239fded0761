-- What Zoom's header said last of how many requests a day the account's apps may make together: a budget that is set higher
-- would keep more in reserve than Zoom ever gives.
ALTER TABLE budget ADD COLUMN daily_limit BIGINT;
