"""What acts inside a network."""
