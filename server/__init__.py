"""Gets packages, unpacks and checks them, and serves what is held."""
