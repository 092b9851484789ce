"""Changes of a box: planned, made once, verified and recorded."""
