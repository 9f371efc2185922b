"""How events reach consumers and subscribers."""
