"""The pace of calls: per account and API, slowed by refusals, regained by success."""
