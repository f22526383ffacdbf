"""The checks: pure functions from a snapshot and the parameters to findings. No network, clock, file or global."""
