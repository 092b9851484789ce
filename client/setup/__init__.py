"""Telling AI clients of the server: what stands in their files, where these are, how to add it."""
