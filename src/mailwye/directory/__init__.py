"""Accepted domains and recipients of the organization: pure look-ups on one snapshot."""
