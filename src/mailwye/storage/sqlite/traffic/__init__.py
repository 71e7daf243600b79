"""Recorded traffic on disk: one file per worker and day (UTC), so that forgetting is removing a file."""
