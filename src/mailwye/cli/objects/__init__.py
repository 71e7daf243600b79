"""The organization's objects in Exchange's words: `ps` with cmdlets, `get`, `new`, `set` and the other verbs."""
