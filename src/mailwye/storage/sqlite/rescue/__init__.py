"""A damaged queue file: what can still be read goes into a new one, the damaged one is set aside. Reads pages without SQLite."""
