"""When and where decodes run: slots, scheduling, streams in flight."""
