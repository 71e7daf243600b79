"""The tables of the settings' file: versions as what they change, drafts, and the way from older forms of the file."""
