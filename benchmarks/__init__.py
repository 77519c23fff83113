"""Every figure that the README states comes from a command here."""
