"""Changes of a box: planned, made once, looked after, written down."""
