"""One driver per cloud behind one protocol."""
