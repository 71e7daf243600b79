"""Changes of an organization as values: what a save changes, what two editors changed at once, drafts, and the form that a store keeps."""
