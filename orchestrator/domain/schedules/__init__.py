"""Windows, exceptions and cron points in a time zone: as instants, as text, and what to warn of.

Pure: the caller brings every instant; zone rules are those of the pinned ``tzdata`` package.
"""
