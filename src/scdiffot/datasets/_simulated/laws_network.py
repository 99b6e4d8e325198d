"""The law of :func:`~scdiffot.datasets.regulatory_network`: genes with known drivers of fates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .laws import Law

# Share of the production that full repression removes
MAX_REPRESSION = 0.95
# Progenitor genes; genes of the oscillator and its targets
N_PROGENITOR, N_CYCLE = 3, 6
# Share of the other genes that are regulated by the drivers; the rest is housekeeping
TARGET_SHARE = 0.6
# Thresholds of targets, relative to those of drivers: cells commit before targets respond
TARGET_THRESHOLD_RATIO = 1.6
# Rates of division and death, per time, where the first driver of a fate is on
BIRTH_RATE, DEATH_RATE = 0.35, 0.2
# Expression of the drivers and the progenitor genes in progenitors
DRIVER_START, PROGENITOR_START = 0.6, 1.6


@dataclass(frozen=True)
class Network:
    """Genes and their regulators.

    Parameters
    ----------
    names, roles
        Name and role of every gene.
    fates
        Fate that a gene drives or follows, -1 if none, shape ``(G,)``.
    edges
        Signs of the regulation, [target, regulator], shape ``(G, G)``.
    gain, decay, threshold
        Maximal production, rate of decay, and the expression at which the effect of a gene is
        half-maximal, shape ``(G,)``.
    """

    names: list[str]
    roles: np.ndarray
    fates: np.ndarray
    edges: np.ndarray
    gain: np.ndarray
    decay: np.ndarray
    threshold: np.ndarray

    def of_role(self, role: str, fate: int | None = None) -> np.ndarray:
        """Positions of the genes of a role, optionally of one fate."""
        return np.flatnonzero((self.roles == role) & (True if fate is None else self.fates == fate))


def min_genes(n_fates: int) -> int:
    """Number of genes below which some role would be empty."""
    return 7 * n_fates + N_PROGENITOR + N_CYCLE


def draw_network(n_genes: int, n_fates: int, rng: np.random.Generator) -> Network:
    """Draw a network: two drivers of every fate, their targets, and genes independent of them."""
    n_other = n_genes - 2 * n_fates - N_PROGENITOR - N_CYCLE
    n_targets = max(round(TARGET_SHARE * n_other), 3 * n_fates)
    sizes = {
        "driver": 2 * n_fates,
        "progenitor": N_PROGENITOR,
        "target": n_targets,
        "cycle": N_CYCLE,
        "housekeeping": n_other - n_targets,
    }
    roles = np.repeat(list(sizes), list(sizes.values()))
    names = [f"{role}_{i + 1}" for role, size in sizes.items() for i in range(size)]
    fates = np.full(n_genes, -1)
    fates[roles == "driver"] = np.arange(2 * n_fates) // 2
    fates[roles == "target"] = np.arange(n_targets) % n_fates
    gain = rng.lognormal(np.log(1.6), 0.25, n_genes)
    decay = rng.lognormal(0.0, 0.3, n_genes)
    core = (roles == "driver") | (roles == "progenitor")
    gain[core], decay[core] = 2.0, 1.0
    # so that two of the three activators of a driver are enough to turn it on
    gain[roles == "driver"] *= 1.5
    edges = np.zeros((n_genes, n_genes))
    network = Network(names, roles, fates, edges, gain, decay, np.full(n_genes, 0.8))
    _wire_core(network)
    _wire_targets(network, rng)
    _wire_cycle(network)
    # production is steady-state expression times decay, so genes of slow decay are not higher
    gain *= decay
    return network


def _wire_core(network: Network) -> None:
    """Connect drivers and progenitor genes.

    Drivers activate themselves and their partner and inhibit the drivers of other fates. The first
    progenitor gene activates all drivers.
    """
    edges, drivers, progenitors = (
        network.edges,
        network.of_role("driver"),
        network.of_role("progenitor"),
    )
    is_same_fate = network.fates[drivers][:, None] == network.fates[drivers]
    edges[np.ix_(drivers, drivers)] = np.where(is_same_fate, 1.0, -1.0)
    edges[drivers, progenitors[0]] = 1
    # the first driver of every fate turns the progenitor genes off
    edges[np.ix_(progenitors, drivers[::2])] = -1


def _wire_targets(network: Network, rng: np.random.Generator) -> None:
    """Connect the targets of every fate to its drivers.

    Of four consecutive targets, a driver activates the first and represses the last, and an
    activated target activates the other two.
    """
    for fate in np.unique(network.fates[network.fates >= 0]):
        drivers, targets = network.of_role("driver", fate), network.of_role("target", fate)
        direct_targets: list[int] = []
        for i, gene in enumerate(targets):
            if i % 4 == 0:
                network.edges[gene, rng.choice(drivers)] = 1
                direct_targets.append(gene)
            elif i % 4 == 3:
                network.edges[gene, rng.choice(drivers)] = -1
            else:
                network.edges[gene, rng.choice(direct_targets)] = 1
            if i >= 3 and rng.random() < 0.5:
                other_drivers = np.setdiff1d(network.of_role("driver"), drivers)
                network.edges[gene, rng.choice(other_drivers)] = -1


def _wire_cycle(network: Network) -> None:
    """Connect three genes that inhibit each other in a ring and oscillate, and their followers."""
    ring, followers = network.of_role("cycle")[:3], network.of_role("cycle")[3:]
    network.edges[ring, np.roll(ring, 1)] = -1
    network.edges[followers, ring] = 1
    network.gain[ring], network.decay[ring] = 2.5, 1.5
    network.threshold[ring] = 0.6


def network_law(network: Network, *, sigma: float) -> Law:
    """Production by the regulators, linear decay, and growth in the first and the last fate."""
    edges, drivers, progenitors = (
        network.edges,
        network.of_role("driver"),
        network.of_role("progenitor"),
    )
    ring = network.of_role("cycle")[:3]
    repression = (edges < 0).astype(float)
    n_activators = (edges > 0).sum(axis=1)
    activation = (edges > 0) / np.maximum(n_activators, 1)[:, None]
    constitutive = (n_activators == 0).astype(float)
    rates = np.zeros(len(drivers) // 2)
    rates[0], rates[-1] = BIRTH_RATE, -DEATH_RATE
    targets = network.of_role("target")
    is_driver = network.roles == "driver"
    target_threshold = np.where(is_driver, TARGET_THRESHOLD_RATIO, 1.0) * network.threshold

    def activity(h: np.ndarray, genes: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Mean over the activators times the product over the repressors."""
        return (h @ activation[genes].T + constitutive[genes]) * np.exp(
            np.log1p(-MAX_REPRESSION * h) @ repression[genes].T
        )

    def production(x: np.ndarray) -> np.ndarray:
        activities = activity(_hill(x, network.threshold))
        activities[:, targets] = activity(_hill(x, target_threshold), targets)
        return network.gain * activities

    def drift(x: np.ndarray, t: float) -> np.ndarray:
        return production(x) - network.decay * x

    def growth(x: np.ndarray, t: float) -> np.ndarray:
        return _hill(x, network.threshold)[:, drivers[::2]] @ rates

    def initial(n: int, rng: np.random.Generator) -> np.ndarray:
        x = np.tile(constitutive * network.gain / network.decay, (n, 1))
        x[:, drivers], x[:, progenitors] = DRIVER_START, PROGENITOR_START
        core_genes = np.concatenate([drivers, progenitors, ring])
        dependent_genes = np.setdiff1d(np.arange(x.shape[1]), core_genes)
        # three rounds reach the steady state: the longest cascade has three genes
        for _ in range(3):
            x[:, dependent_genes] = (production(x) / network.decay)[:, dependent_genes]
        x[:, ring] = rng.uniform(0.1, 1.6, size=(n, 3))
        return np.maximum(x + sigma / np.sqrt(2 * network.decay) * rng.normal(size=x.shape), 0)

    params = _law_params(network, rates)
    return Law(drift, growth, np.full(len(edges), sigma), initial, lower=0.0, params=params)


def _hill(x: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Hill function of exponent three."""
    ratio = np.maximum(x, 0) / threshold
    # products are much faster than a power
    cube = ratio * ratio * ratio
    return cube / (1 + cube)


def _law_params(network: Network, rates: np.ndarray) -> dict[str, Any]:
    return {
        "gain": network.gain,
        "decay": network.decay,
        "threshold": network.threshold,
        "hill": 3,
        "late": TARGET_THRESHOLD_RATIO,
        "repression": MAX_REPRESSION,
        "rates": rates,
    }
