"""Verification, offline: whether a record holds, step by step, and whether a register and its records agree."""
