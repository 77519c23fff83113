"""gRPC: translates messages and pumps them; decides nothing."""
