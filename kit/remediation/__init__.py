"""From findings to a plan: what would mend them, step by step. Pure: no network, clock or file; nothing is changed."""
