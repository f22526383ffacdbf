"""Validation evidence for AWS CloudTrail: qualify trail encryption and log integrity, and keep the proof."""

__version__ = "0.1.0"
