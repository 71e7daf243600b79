"""The client's half of AUTH (RFC 4954): SCRAM-SHA-256, PLAIN and LOGIN as small machines without I/O or randomness."""
