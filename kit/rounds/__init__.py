"""Rounds: many targets qualified by the same protocols, each in an outputs folder of its own, and one record of all."""
