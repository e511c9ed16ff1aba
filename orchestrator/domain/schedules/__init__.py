"""Weekly windows in a time zone: what they mean as instants, as text, and what to warn of.

Pure: the caller brings every instant; zone rules are those of the pinned ``tzdata`` package.
"""
