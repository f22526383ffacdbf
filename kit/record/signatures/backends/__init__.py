"""Where a signer's key is: one backend a file, each opening a `SigningKey`."""
