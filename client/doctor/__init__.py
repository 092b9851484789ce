"""From the name of the server to a tool call: what is the first thing wrong, and its cure?"""
