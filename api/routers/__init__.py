"""One thin file per noun."""
