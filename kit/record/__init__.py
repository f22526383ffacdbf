"""The record: one folder that holds the executed notebook, its rendering, its findings and its evidence, sealed."""
