"""Commands about versions of the settings and drafts."""
