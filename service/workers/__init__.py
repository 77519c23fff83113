"""Processes that decode, so that Python's lock in them does not stall the server's own."""
