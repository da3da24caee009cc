"""Documents of the daemon as text for a person: 80 columns, with or without colour; pure functions."""
