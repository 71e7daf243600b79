"""What is kept about the protection of connections: transport.sqlite."""
