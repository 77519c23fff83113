"""The tests: a mirror of service/ and client/, and what goes across them."""
