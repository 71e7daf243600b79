"""Parts of one outbound SMTP session (outbound/smtp_session.py): its octets, its login."""
