"""Who may do what: roles and their permissions, users and tokens, and the audit log's form. Pure; storage/sqlite/access/ keeps them."""
