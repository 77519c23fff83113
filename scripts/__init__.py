"""What is run to work on the project; no part of what is installed."""
