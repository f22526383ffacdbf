"""CloudTrail's logs and digests: name, content, signature, chain, coverage. Pure: bytes and keys in, problems out."""
