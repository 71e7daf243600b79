"""What happened to a message, and why: typed events, the recorder port and the search query."""
