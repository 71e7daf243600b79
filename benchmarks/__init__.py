"""Measuring Mailwye: beside Postfix (relay), as it grows (growth), and what a decision costs (routing)."""
