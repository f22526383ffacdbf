"""ACME's own requirements of its audit trails: checks in the modules beside this one, words in `catalogue/`."""
