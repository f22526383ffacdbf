"""A record for readers: one HTML page for screen and paper, and the PDF/A-3a made from it."""
