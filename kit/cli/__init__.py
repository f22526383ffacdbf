"""The command: `trailkit`, one module for what belongs together."""
