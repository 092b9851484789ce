"""What must not be lost: records on the disk, which no flush, crash or restart takes away."""
