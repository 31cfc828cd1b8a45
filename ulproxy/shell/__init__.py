"""Sockets, time and processes: the only place that waits."""
