"""What is asked of settings: one object, files, scripts, drafts and versions; how a change is wished for, planned and saved."""
