"""The REST API below /api/v1: requests become calls of the functions that the command line calls too; nothing is decided here."""
