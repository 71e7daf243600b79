"""The protocol without I/O: bytes and `now` in, events and bytes out. Opens no socket, decides no policy."""
