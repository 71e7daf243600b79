"""What the installation remembers of certificates."""
