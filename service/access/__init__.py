"""Who may do what: tokens, what they allow, and for how long."""
