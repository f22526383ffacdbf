"""ACME's own requirements of its audit trails: checks in `settings.py` and `deliveries.py`, words in `catalogue/`."""
