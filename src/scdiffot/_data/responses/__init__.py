"""Responses to treatments: reading cells, storing fits and predictions."""
