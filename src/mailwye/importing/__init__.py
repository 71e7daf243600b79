"""Settings of other mail systems as objects of an organization, by value: texts in, objects and a report out. Reads no file itself."""
