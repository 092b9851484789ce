"""Durable records on disk, which survive every flush, crash and restart."""
