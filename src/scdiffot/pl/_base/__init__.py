"""Shared parts of the plots."""
