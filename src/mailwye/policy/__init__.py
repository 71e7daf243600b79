"""What the organization wants of mail beyond its connectors: pure decisions between the header and acceptance."""
