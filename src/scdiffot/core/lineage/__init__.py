"""Fates, ancestors, transitions and the landscape."""
