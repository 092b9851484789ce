"""The battery box in a terminal: now, in the past, and what the portal has to say about it."""
