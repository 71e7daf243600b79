"""Real programs as counterparts, each with private configuration in a temporary directory, on loopback addresses and free ports."""
