"""Checks and rules: results become actions here and nowhere else."""
