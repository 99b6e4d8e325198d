"""The networks, their optimiser, and the fitted model."""
