"""The only code that touches the outside: clock, entropy, streams, files, resolver, TLS, tasks, logs, metrics."""
