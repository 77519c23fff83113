"""Metrics and traces: each an observer of all RPCs, and there only if it is asked for."""
