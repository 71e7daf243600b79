"""Users, tokens (accounts.sqlite) and the audit log (audit.sqlite)."""
