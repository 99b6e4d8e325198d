"""Published and earlier figures that this benchmark does not measure itself."""

from __future__ import annotations

# W1 on the training snapshots, by time, with the weights that DeepRUOT ships (github
# zhenyiizhang/DeepRUOT at 2289c81), measured earlier with the same metric.
DEEPRUOT_SHIPPED = {
    "gene_network": (0.051, 0.086, 0.123, 0.145),
    "mouse": (0.154, 0.129),
    "emt": (0.250, 0.275, 0.276),
}

# W1 of left-out snapshots, as published: data, time -> value, method.
LEFT_OUT_PUBLISHED = {
    ("gene_network", 1.0): (0.088, "Var-RUOT"),
    ("gene_network", 2.0): (0.089, "DeepRUOT"),
    ("gene_network", 3.0): (0.094, "Var-RUOT"),
    ("mouse", 1.0): (0.270, "Var-RUOT"),
    ("emt", 1.0): (0.298, "WFR-FM, mean of both"),
    ("emt", 2.0): (0.298, "WFR-FM, mean of both"),
}

# Mean cosine of the drift with the truth on the MISA snapshots, with the weights that DiffusionOT
# ships, measured earlier.
DIFFUSIONOT_DRIFT_COSINE = 0.736
