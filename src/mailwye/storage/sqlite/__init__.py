"""The embedded engines: SQLite through apsw, write-ahead log, synchronous=FULL for everything that a 250 rests on."""
