"""Proofs that nothing acknowledged is lost, against the real service: `python -m torture COMMAND --help`; results: docs/reliability.md."""
