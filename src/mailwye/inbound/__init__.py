"""Mail's way in: listener, session, TLS, admission, recipients, acceptance."""
