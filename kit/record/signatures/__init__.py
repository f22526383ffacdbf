"""Electronic signatures on a record's PDF (PAdES): what is stated, by which key, and whether it holds."""
