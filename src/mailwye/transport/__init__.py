"""How a connection to another domain must be protected, and who says so: MTA-STS, DANE, and the reports about them."""
