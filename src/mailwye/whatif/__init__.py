"""What would happen with other settings: to mail that came, and to mail that waits. Pure; the decisions are those of the live path."""
