"""Training: the stages of a fit, their data, and how a fit is assessed."""
