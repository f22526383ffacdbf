"""Findings and figures as notebook displays: one JSON truth, one set of templates for JupyterLab and for the record."""
