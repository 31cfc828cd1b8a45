"""PS3.8, the Upper Layer: bytes in, values out, no I/O."""
