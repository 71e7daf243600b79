"""What is asked of mail: the queue and what is corrupt in it, the trace, what other servers met us with."""
