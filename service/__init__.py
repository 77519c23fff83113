"""The streaming speech recognition server."""
