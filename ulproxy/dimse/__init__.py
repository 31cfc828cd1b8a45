"""PS3.7, command sets and messages: bytes in, values out, no I/O."""
