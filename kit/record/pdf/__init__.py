"""A record's PDF, read strictly: only the structure that the kit itself writes, and nothing in it trusted for size."""
