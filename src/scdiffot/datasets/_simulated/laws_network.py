"""The law behind :func:`~scdiffot.datasets.regulatory_network`: a random network with known drivers of fates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .laws import Law

# Of a full repression remains a leak.
REPRESSION = 0.95
# Genes of the progenitor state and of the oscillator with what it drives
N_PROGENITOR, N_CYCLE = 3, 6
# Share of the other genes that are regulated by the drivers; the rest is housekeeping.
TARGETS = 0.6
# Targets need more of a driver than other drivers do: cells commit first.
LATE = 1.6
# Rates of division and death where the first driver of a fate is on
BIRTH, DEATH = 0.35, 0.2
# Expression of the drivers and the progenitor genes in progenitors
PRIMED, STEM = 0.6, 1.6


@dataclass(frozen=True)
class Network:
    """Genes and who regulates them.

    Parameters
    ----------
    names, roles
        Name and role of every gene.
    fates
        Fate that a gene drives or follows, -1 if none, shape ``(G,)``.
    edges
        Signs of the regulation, [target, regulator], shape ``(G, G)``.
    gain, decay, threshold
        Largest production, rate of decay, and the expression at which a gene regulates half as much as it can, shape ``(G,)``.
    """

    names: list[str]
    roles: np.ndarray
    fates: np.ndarray
    edges: np.ndarray
    gain: np.ndarray
    decay: np.ndarray
    threshold: np.ndarray

    def of_role(self, role: str, fate: int | None = None) -> np.ndarray:
        """Positions of the genes of a role, of one fate perhaps."""
        return np.flatnonzero((self.roles == role) & (True if fate is None else self.fates == fate))


def least_genes(n_fates: int) -> int:
    """Number of genes below which some role would be empty."""
    return 7 * n_fates + N_PROGENITOR + N_CYCLE


def draw_network(n_genes: int, n_fates: int, rng: np.random.Generator) -> Network:
    """Draw a network: two drivers of every fate, what they regulate, and genes that have nothing to do with them."""
    n_rest = n_genes - 2 * n_fates - N_PROGENITOR - N_CYCLE
    n_targets = max(round(TARGETS * n_rest), 3 * n_fates)
    sizes = {
        "driver": 2 * n_fates,
        "progenitor": N_PROGENITOR,
        "target": n_targets,
        "cycle": N_CYCLE,
        "housekeeping": n_rest - n_targets,
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
    # two of the three activators of a driver turn it on
    gain[roles == "driver"] *= 1.5
    edges = np.zeros((n_genes, n_genes))
    network = Network(names, roles, fates, edges, gain, decay, np.full(n_genes, 0.8))
    _wire_core(network)
    _wire_targets(network, rng)
    _wire_cycle(network)
    # expression at which production and decay balance, so that slow genes are not higher
    gain *= decay
    return network


def _wire_core(network: Network) -> None:
    """Drivers activate themselves and their partner, and inhibit those of other fates; a progenitor gene primes them all."""
    edges, drivers, progenitors = (
        network.edges,
        network.of_role("driver"),
        network.of_role("progenitor"),
    )
    same = network.fates[drivers][:, None] == network.fates[drivers]
    edges[np.ix_(drivers, drivers)] = np.where(same, 1.0, -1.0)
    edges[drivers, progenitors[0]] = 1
    # the first driver of every fate turns the progenitor genes off
    edges[np.ix_(progenitors, drivers[::2])] = -1


def _wire_targets(network: Network, rng: np.random.Generator) -> None:
    """Of every fate in turn: targets of a driver, targets of those, and (every fourth) genes that a driver turns off."""
    for fate in np.unique(network.fates[network.fates >= 0]):
        drivers, targets = network.of_role("driver", fate), network.of_role("target", fate)
        early: list[int] = []
        for i, gene in enumerate(targets):
            if i % 4 == 0:
                network.edges[gene, rng.choice(drivers)] = 1
                early.append(gene)
            elif i % 4 == 3:
                network.edges[gene, rng.choice(drivers)] = -1
            else:
                network.edges[gene, rng.choice(early)] = 1
            if i >= 3 and rng.random() < 0.5:
                # some have to do with two fates
                others = np.setdiff1d(network.of_role("driver"), drivers)
                network.edges[gene, rng.choice(others)] = -1


def _wire_cycle(network: Network) -> None:
    """Three genes that inhibit each other in a ring oscillate; each drives one that follows."""
    ring, followers = network.of_role("cycle")[:3], network.of_role("cycle")[3:]
    network.edges[ring, np.roll(ring, 1)] = -1
    network.edges[followers, ring] = 1
    network.gain[ring], network.decay[ring] = 2.5, 1.5
    network.threshold[ring] = 0.6


def network_law(network: Network, *, sigma: float) -> Law:
    """What the regulators produce and what decays; two fates multiply at rates other than zero."""
    edges, drivers, progenitors = (
        network.edges,
        network.of_role("driver"),
        network.of_role("progenitor"),
    )
    ring = network.of_role("cycle")[:3]
    repressed = (edges < 0).astype(float)
    n_active = (edges > 0).sum(axis=1)
    # several activators add up, repressors multiply
    share = (edges > 0) / np.maximum(n_active, 1)[:, None]
    always = (n_active == 0).astype(float)
    rates = np.zeros(len(drivers) // 2)
    rates[0], rates[-1] = BIRTH, -DEATH

    targets = network.of_role("target")

    later_drivers = np.where(network.roles == "driver", LATE, 1.0)

    def hill(x: np.ndarray, later: float | np.ndarray = 1.0) -> np.ndarray:
        ratio = np.maximum(x, 0) / (later * network.threshold)
        # much faster than a power
        cube = ratio * ratio * ratio
        return cube / (1 + cube)

    def regulated(h: np.ndarray, genes: np.ndarray | slice = slice(None)) -> np.ndarray:
        return (h @ share[genes].T + always[genes]) * np.exp(
            np.log1p(-REPRESSION * h) @ repressed[genes].T
        )

    def production(x: np.ndarray) -> np.ndarray:
        on = regulated(hill(x))
        on[:, targets] = regulated(hill(x, later_drivers), targets)
        return network.gain * on

    def drift(x: np.ndarray, t: float) -> np.ndarray:
        return production(x) - network.decay * x

    def growth(x: np.ndarray, t: float) -> np.ndarray:
        return hill(x)[:, drivers[::2]] @ rates

    def initial(n: int, rng: np.random.Generator) -> np.ndarray:
        x = np.tile(always * network.gain / network.decay, (n, 1))
        x[:, drivers], x[:, progenitors] = PRIMED, STEM
        others = np.setdiff1d(np.arange(x.shape[1]), np.concatenate([drivers, progenitors, ring]))
        # the longest cascade has three genes
        for _ in range(3):
            x[:, others] = (production(x) / network.decay)[:, others]
        x[:, ring] = rng.uniform(0.1, 1.6, size=(n, 3))
        return np.maximum(x + sigma / np.sqrt(2 * network.decay) * rng.normal(size=x.shape), 0)

    params = {
        "gain": network.gain,
        "decay": network.decay,
        "threshold": network.threshold,
        "hill": 3,
        "late": LATE,
        "repression": REPRESSION,
        "rates": rates,
    }
    return Law(drift, growth, np.full(len(edges), sigma), initial, lower=0.0, params=params)
