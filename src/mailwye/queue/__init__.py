"""The one durable home of every accepted message: values, legal moves, schedule, and the port that engines implement."""
