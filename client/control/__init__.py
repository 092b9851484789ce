"""Changing the battery box from a terminal: plan, look at it, confirm it, wait for it."""
