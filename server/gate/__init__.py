"""Who may ask, how often, and what is turned away at the door."""
