"""The checks: pure functions from a snapshot and the run's parameters to findings. No network, clock, file or global."""
