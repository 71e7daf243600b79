"""Who may use the API: users, tokens, the audit log; and the listeners that serve it."""
