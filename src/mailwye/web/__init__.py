"""Pages for strangers: the MTA-STS policies of accepted domains, and the answers that prove names to a certificate authority."""
