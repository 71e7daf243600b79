"""Settings: schema, parsing with every error and its place, the frozen snapshot, and the port of the versioned store."""
