"""Tools of responses to treatments."""
