"""Who plays, and who sees what."""
