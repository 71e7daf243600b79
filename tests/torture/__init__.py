"""The short forms of the tests in torture/: the same harness, fewer rounds."""
