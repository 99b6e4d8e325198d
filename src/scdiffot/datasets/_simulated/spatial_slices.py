"""A tissue at several times, with the fate and the migration of every cell known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.options import check_count, check_number
from scdiffot._utils.rng import as_generator

from .assembly import expression_adata
from .laws import Law, simulate_law
from .laws_tissue import TYPES, tissue_fates, tissue_law, tissue_types

if TYPE_CHECKING:
    from anndata import AnnData

# Unit of length of the law: micrometres
RADIUS = 500.0
# Time from the first to the last slice; time steps of the simulation and of the fates
DURATION, STEP, PATH_STEP = 3.0, 0.05, 0.1


@fill_parameters
def spatial_slices(
    n_obs: int = 1000,
    *,
    n_times: int = 4,
    rotation: float = 8.0,
    shift: float = 100.0,
    growth: float = 0.5,
    n_genes: int = 50,
    n_dims: int = 5,
    n_paths: int = 100,
    rng: int | np.random.Generator = 0,
) -> AnnData:
    r"""Simulate slices of a tissue that differentiates, grows and migrates, with known fates.

    A cell has a state :math:`z` (`n_dims` programmes of expression) and a position :math:`p`, and
    each changes the other. :math:`z_1` is maturity. Until it reaches 1 the cell is a progenitor;
    then the gate :math:`G = s((z_1 - 1) / 0.4)`, with the logistic function :math:`s`, opens, and
    the fate :math:`z_2` falls into one of two wells, near -1.4 (``core``) or 1.4 (``pole``). Cells
    far from the middle of the tissue become ``pole`` and move outwards. The others become ``core``
    and move inwards. The whole tissue expands. Core cells divide, pole cells die, and growth is
    higher at the rim:

    .. math::
        dz &= \nabla_z \Phi \, dt + 0.08 \, dW, \\
        dp &= \big( 0.2 \, G \, z_2 \nabla h + (0.17 \, p_1, \; 0.13 \, p_2) \big) dt
        + 0.03 \, dW', \qquad h = \sqrt{0.4^2 + p_1^2}, \\
        \Phi &= F(z_1) + G \, \Big( 0.45 \, z_2^2 - \frac{0.45}{2 \cdot 1.4^2} z_2^4
        + 0.5 \, z_2 \tanh \frac{h - 0.75}{0.5} \Big) - 0.4 \, (1 - G) \, z_2^2, \\
        g &= \gamma \, \Big( \frac{1 - G}{2} + G \, \big( 1 - 1.5 \, s(4 z_2) \big)
        + 0.15 \tanh \frac{|p| - 0.85}{0.4} \Big)

    with :math:`F' = 0.6 \, s((2.6 - z_1) / 0.3)`, which ends maturation. Further programmes are
    regional: except for noise, a cell keeps its initial values. Fates are uncertain only near the
    border between the two types. Lengths in the equations are in units of 500 micrometres, about
    the radius of the tissue; stored lengths are in micrometres.

    Time runs from 0 to 3, after 1.5 of differentiation without growth, so that some cells of the
    first slice are already differentiating. Every slice is an independent population, as in an
    experiment, and has its own pose on the slide: it is rotated around the middle of the tissue by
    `rotation` degrees more than the previous slice, and shifted. The law is drawn before the
    cells, so equal seeds give the same law for any number of cells.

    A migration or rotation of the whole tissue cannot be distinguished from the pose on the slide:
    compare after removing the rigid motion, or in ``obsm["spatial_true"]``.

    Parameters
    ----------
    n_obs
        Number of cells of the first slice. Later ones follow the mass: 1,000 become about 1,760.
    n_times
        Number of slices, at equal intervals from time 0 to 3.
    rotation
        Angle between the poses of consecutive slices, degrees, counter-clockwise.
    shift
        Distance by which every slice except the first is shifted on its slide, in a random
        direction, micrometres.
    growth
        Scale :math:`\gamma` of the rates of division and death, per time; with 0, no cell divides
        or dies.
    n_genes
        Number of genes, at least `n_dims`.
    n_dims
        Number of programmes of expression, 2 to 10.
    n_paths
        Random trajectories from which the fate of every cell is estimated. Standard errors are at
        most ``0.5 / sqrt(n_paths)``.
    %(rng)s

    Returns
    -------
    Cells of all slices, sorted by time.

    - ``X``: expression, not negative. ``obsm["X_pca"]``, ``varm["PCs"]``, ``uns["pca"]``: its
      principal components, a rotation of the programmes, which decode it exactly. Fit with
      ``use_rep="X_pca"``.
    - ``obsm["spatial"]``: positions on the slides; ``obsm["spatial_true"]``: in one frame, that of
      the first slice. Micrometres.
    - ``obs["time"]``; ``obs["slice"]`` (categorical, ``"t0"``, ``"t1"``, ...);
      ``obs["cell_type"]``: ``"progenitor"``, ``"core"`` or ``"pole"``.
    - ``obsm["true_state"]``: the programmes :math:`z`; ``obsm["true_velocity"]``: drift of
      ``X_pca``, per time; ``obsm["true_migration"]``: drift of ``spatial_true``, micrometres per
      time; ``obs["true_growth"]``: net growth rate, per time.
    - ``obsm["true_fate"]``: shares of the cell types among the descendants at the last time,
      growth included, shape ``(n, 3)``, a data frame; ``obs["true_n_descendants"]``: their
      expected number.
    - ``uns["true"]``: ``angles`` (degrees) and ``shifts`` of the slices, of shapes ``(n_times,)``
      and ``(n_times, 2)``, with ``spatial = spatial_true @ R.T + shift`` and ``R`` the rotation by
      the angle; ``times``, ``masses`` (number of cells relative to the first slice), ``sigma`` (of
      ``X_pca``), ``sigma_position`` (micrometres per root of time) and ``params``, the numbers of
      the law.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If a number is out of its range, or growth leaves fewer than two cells in a slice.

    See Also
    --------
    scdiffot.datasets.mouse_embryo_spatial : Measured sections of a growing tissue.
    scdiffot.tl.align_slices : Bring slices into one frame.
    scdiffot.tl.interpolate_slices : Predict a slice between two measured ones.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.spatial_slices(100, n_paths=10)
    >>> adata.obs["slice"].cat.categories.tolist()
    ['t0', 't1', 't2', 't3']
    >>> adata.obsm["true_migration"].shape == adata.obsm["spatial"].shape
    True
    """
    for name, value, minimum in (
        ("n_obs", n_obs, 10),
        ("n_times", n_times, 2),
        ("n_dims", n_dims, 2),
        ("n_genes", n_genes, n_dims),
        ("n_paths", n_paths, 1),
    ):
        check_count(name, value, minimum)
    if n_dims > 10:
        raise ValueError(f"`n_dims` is {n_dims}: pass at most 10.")
    check_number("rotation", rotation, -360, 360)
    check_number("shift", shift, 0)
    check_number("growth", growth, 0, 2)
    generator = as_generator(rng)
    law = tissue_law(n_dims, float(growth), generator)
    loadings = np.linalg.qr(generator.normal(size=(n_genes, n_dims)))[0]
    times = np.linspace(0, DURATION, n_times)
    angles = np.mod(rotation * np.arange(n_times), 360)
    directions = generator.uniform(0, 2 * np.pi, n_times)
    shifts = shift * np.column_stack([np.cos(directions), np.sin(directions)])
    shifts[0] = 0
    slices = simulate_law(law, n_obs, tuple(times.tolist()), dt=STEP, rng=generator)
    states = np.concatenate([x[:, :-2] for x in slices])
    adata, state_rotation = expression_adata(states, loadings)
    _write_cells(adata, law, slices, times, state_rotation)
    _write_positions(adata, slices, angles, shifts)
    fates = [
        tissue_fates(law, x, t, DURATION, n_paths=n_paths, dt=PATH_STEP, rng=generator)
        for x, t in zip(slices, times.tolist(), strict=True)
    ]
    _write_fates(adata, fates)
    counts = np.array([len(x) for x in slices])
    adata.uns["true"] = {
        "angles": angles,
        "shifts": shifts,
        "times": times,
        "masses": counts / counts[0],
        "sigma": law.sigma[:-2],
        "sigma_position": RADIUS * float(law.sigma[-1]),
        "params": law.params,
    }
    return adata


def _write_cells(
    adata: AnnData, law: Law, slices: list[np.ndarray], times: np.ndarray, rotation: np.ndarray
) -> None:
    """Write times, types and the fields of the law at the cells."""
    import pandas as pd

    x, counts = np.concatenate(slices), [len(part) for part in slices]
    names = pd.Index([f"t{k}" for k in range(len(slices))])
    adata.obs["time"] = np.repeat(times, counts)
    adata.obs["slice"] = pd.Categorical.from_codes(
        np.repeat(np.arange(len(slices)), counts), names, ordered=True
    )
    adata.obs["cell_type"] = pd.Categorical.from_codes(tissue_types(x), pd.Index(TYPES))
    # the law does not depend on time
    drift = law.drift(x, 0.0)
    adata.obs["true_growth"] = law.growth(x, 0.0)
    adata.obsm["true_state"] = x[:, :-2]
    adata.obsm["true_velocity"] = (drift[:, :-2] @ rotation).astype(np.float32)
    adata.obsm["true_migration"] = RADIUS * drift[:, -2:]


def _write_positions(
    adata: AnnData, slices: list[np.ndarray], angles: np.ndarray, shifts: np.ndarray
) -> None:
    """Write positions in the tissue and on the slides."""
    positions = [RADIUS * x[:, -2:] for x in slices]
    adata.obsm["spatial_true"] = np.concatenate(positions)
    cos, sin = np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))
    rotations = np.moveaxis(np.array([[cos, -sin], [sin, cos]]), -1, 0)
    adata.obsm["spatial"] = np.concatenate(
        [p @ r.T + shift for p, r, shift in zip(positions, rotations, shifts, strict=True)]
    )


def _write_fates(adata: AnnData, fates: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Write the shares of the cell types among descendants, and the number of descendants."""
    import pandas as pd

    shares, numbers = (np.concatenate(parts) for parts in zip(*fates, strict=True))
    adata.obsm["true_fate"] = pd.DataFrame(shares, index=adata.obs_names, columns=list(TYPES))
    adata.obs["true_n_descendants"] = numbers
