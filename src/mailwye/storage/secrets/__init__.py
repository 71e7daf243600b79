"""Secrets at rest: encrypted under a key that lies in a file of its own."""
