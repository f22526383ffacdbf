"""The embedded AWS account: moto's server on loopback, seeded compliant, and spoilt by named faults on request."""
