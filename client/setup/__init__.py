"""Registering the server with AI clients: what their files say, where these are, how to add it."""
