"""Two associations made one, still without a socket or a clock."""
