"""The stages of a fit, in order: couple, bridges, corrections, matching, density, calibration."""
