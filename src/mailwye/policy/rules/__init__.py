"""Mail flow rules (Exchange's TransportRule), the part that routing needs: a message and its recipients in, ways and reasons out."""
