"""Administration beside the mail's path: the control socket's operations, `explain`, and later the REST API and pages."""
