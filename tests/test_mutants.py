"""The quick tests detect faults: each of these mutants, one at a time, makes some of them fail."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

import pytest

import scdiffot

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SOURCE = Path(scdiffot.__file__).parent


class Mutant(NamedTuple):
    """A fault in a file of the package: a text that occurs once is replaced; `tests` must fail."""

    name: str
    file: str
    text: str
    fault: str
    tests: str


MUTANTS = [
    Mutant(
        "the score in the flow has the wrong sign",
        "core/nets/fields.py",
        "(motion, motion - half) if self.moves_drift",
        "(motion, motion + half) if self.moves_drift",
        "core/nets/test_fields.py::test_flow_and_drift_differ_by_the_score",
    ),
    Mutant(
        "the score that moves populations has the wrong sign",
        "core/nets/fields.py",
        "return motion - self.sigma**2 / 2 * score, growth",
        "return motion + self.sigma**2 / 2 * score, growth",
        "core/nets/test_fields.py::test_flow_and_drift_differ_by_the_score",
    ),
    Mutant(
        "the drift of separate networks lacks the score",
        "core/nets/fields.py",
        "else motion + self.sigma**2 / 2 * score",
        "else motion",
        "core/nets/test_fields.py::test_flow_and_drift_differ_by_the_score",
    ),
    Mutant(
        "the time reversal has half of the score",
        "core/simulate/vector_field.py",
        "drift - self.sigma**2 * score, growth",
        "drift - self.sigma**2 / 2 * score, growth",
        "core/lineage/test_ancestry.py::test_ancestors_follow_bayes_rule",
    ),
    Mutant(
        "a snapshot time counts as the end of the interval before it",
        "core/nets/fields.py",
        "self.times[1:-1].contiguous(), right=True",
        "self.times[1:-1].contiguous(), right=False",
        "core/nets/test_fields.py::test_clock_is_right_continuous_at_snapshots",
    ),
    Mutant(
        "the growth loss lacks alpha",
        "core/train/objective.py",
        "growth_loss = bridge_config.alpha / len(t)",
        "growth_loss = 1 / len(t)",
        "core/train/test_losses.py::test_losses_are_mean_squares_of_the_residuals",
    ),
    Mutant(
        "the score is regressed on the opposite of the noise",
        "core/train/objective.py",
        "torch.addcmul(points.noise, points.std[:, None], score)",
        "torch.addcmul(-points.noise, points.std[:, None], score)",
        "core/train/test_losses.py::test_losses_are_mean_squares_of_the_residuals",
    ),
    Mutant(
        "an interrupted fit keeps the last state",
        "core/train/stages/regression.py",
        "if loss < best:",
        "if True:",
        "core/train/test_losses.py::test_an_interrupted_fit_keeps_the_best_state",
    ),
    Mutant(
        "an interrupted fit does not go back to the best state",
        "core/train/fitting.py",
        "        state.fields.load_state_dict(state.best)\n",
        "",
        "core/train/test_losses.py::test_an_interrupted_fit_keeps_the_best_state",
    ),
    Mutant(
        "the standard error of a mean loss is that of one step",
        "core/train/stages/stage.py",
        "error = (variance / (n - 1)) ** 0.5",
        "error = variance**0.5",
        "core/train/test_stages.py",
    ),
    Mutant(
        "the history names the penalty of the matching the mismatch",
        "core/train/matching.py",
        "losses[:-1].sum(), losses[-1]",
        "losses[-1], losses[:-1].sum()",
        "core/train/test_stages.py",
    ),
    Mutant(
        "bridges are twice as wide",
        "core/train/bridges.py",
        "variance * u * (1 - u)).sqrt()",
        "2 * variance * u * (1 - u)).sqrt()",
        "core/train/test_bridges.py::test_bridge_spreads_and_targets",
    ),
    Mutant(
        "points on bridges are not weighted by their mass",
        "core/train/bridges.py",
        "weight=mass * pairs.weight * prior_growth.exp()",
        "weight=pairs.weight * prior_growth.exp()",
        "core/train/test_bridges.py::test_prior_growth_is_part_of_the_masses_and_of_the_target",
    ),
    Mutant(
        "growth on a geodesic is half of its value",
        "core/train/bridges.py",
        "position, speed[:, None] * delta, mass, 2 * (a * u - b) / mass",
        "position, speed[:, None] * delta, mass, (a * u - b) / mass",
        "core/train/test_bridges.py::test_path_solves_its_equations",
    ),
    Mutant(
        "marginals of the coupling are held half as tightly",
        "core/ot/coupling.py",
        "penalty = math.inf if alpha is None else 2 * alpha",
        "penalty = math.inf if alpha is None else alpha",
        "core/ot/test_coupling.py::test_unbalanced_plan_is_that_of_pot",
    ),
    Mutant(
        "particles of a simulation do not grow",
        "core/simulate/schemes.py",
        "particles.log_w = particles.log_w + growth * step.dt",
        "particles.log_w = particles.log_w + 0 * growth * step.dt",
        "core/simulate/test_closed_dynamics.py::test_forward_simulation_has_the_exact_moments",
    ),
    Mutant(
        "noise grows with time instead of its root",
        "core/simulate/integration.py",
        "return abs(dt) ** 0.5 * (sigma * noise)",
        "return abs(dt) * (sigma * noise)",
        "core/simulate/test_closed_dynamics.py::test_forward_simulation_has_the_exact_moments",
    ),
    Mutant(
        "descendants do not multiply",
        "core/simulate/schemes.py",
        "particles.log_w = particles.log_w + (growth + rates[1]) * (step.dt / 2)",
        "particles.log_w = particles.log_w + 0 * (growth + rates[1]) * (step.dt / 2)",
        "core/lineage/test_fate.py::test_double_well_with_the_true_fields",
    ),
    Mutant(
        "descendants multiply twice as fast",
        "core/simulate/schemes.py",
        "particles.log_w = particles.log_w + (growth + rates[1]) * (step.dt / 2)",
        "particles.log_w = particles.log_w + (growth + rates[1]) * step.dt",
        "core/lineage/test_fate.py::test_double_well_with_the_true_fields",
    ),
    Mutant(
        "fates are not weighted by descendants",
        "core/lineage/fate.py",
        "w = (log_w.double() - shift).exp()",
        "w = torch.ones_like(log_w).double()",
        "core/lineage/test_fate.py::test_double_well_with_the_true_fields",
    ),
    Mutant(
        "masses are shares of their sum",
        "_data/read/snapshots.py",
        "return masses / masses[0]\n    if not hasattr",
        "return masses / masses.sum()\n    if not hasattr",
        "_data/read/test_snapshots.py::test_masses_are_relative_to_the_first_snapshot",
    ),
    Mutant(
        "velocities are not in the user's unit of time",
        "core/nets/model.py",
        "speed = s.scale / s.time_scale",
        "speed = s.scale * s.time_scale",
        "tl/time_course/test_fit.py::test_equivariance",
    ),
    Mutant(
        "the missing growth of an interval is not divided by its length",
        "core/train/rollout.py",
        "(observed - simulated) / torch.as_tensor(np.diff(snapshots.times)).to(device)",
        "(observed - simulated)",
        "core/train/test_rollout.py::test_missing_growth_is_the_rate_that_reaches_the_masses",
    ),
    Mutant(
        "a snapshot that is left out stays the unit of mass",
        "core/problem/snapshots.py",
        "            masses / masses[0],\n            prior,\n",
        "            masses,\n            prior,\n",
        "core/problem/test_snapshots.py::test_without_leaves_one_out",
    ),
    Mutant(
        "downloads are not verified",
        "datasets/_published/download.py",
        "if sha256 == source.sha256:",
        "if True:",
        "datasets/test_download.py::test_damaged_file_in_the_folder",
    ),
    Mutant(
        "downloaded files are not verified",
        "datasets/_published/download.py",
        'registry={name: f"sha256:{source.sha256}"}',
        "registry={name: None}",
        "datasets/test_download.py::test_damaged_part_is_detected_and_replaced",
    ),
    Mutant(
        "the virtual snapshot does not weigh its two sides by nearness",
        "core/simulate/interpolation.py",
        "for source, share in ((k, 1 - u), (k + 1, u)):",
        "for source, share in ((k, u), (k + 1, 1 - u)):",
        "core/simulate/test_dynamics.py::test_interpolate_is_the_snapshot_at_its_time",
    ),
]


@pytest.fixture(scope="module")
def forkserver() -> BaseContext:
    """Forks processes that have imported the dependencies, but not the package."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["anndata", "ot", "pytest", "sklearn.neighbors", "torch"])
    return context


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_quick_test_fails(mutant: Mutant, forkserver: BaseContext, tmp_path: Path):
    """Copy the package, insert the fault, and run the tests."""
    shutil.copytree(
        SOURCE, tmp_path / "src" / "scdiffot", ignore=shutil.ignore_patterns("__pycache__")
    )
    path = tmp_path / "src" / "scdiffot" / mutant.file
    text = path.read_text(encoding="utf-8")
    assert text.count(mutant.text) == 1, f"{mutant.file} has changed: update the text of the mutant"
    path.write_text(text.replace(mutant.text, mutant.fault), encoding="utf-8")
    report = tmp_path / "report.xml"
    arguments = ["-x", "-q", "-m", "not slow", "-n", "0", "-p", "no:cacheprovider"]
    arguments += ["-o", f"pythonpath={tmp_path / 'src'}", f"--junitxml={report}"]
    tests = [str(ROOT / "tests" / name) for name in mutant.tests.split()]
    process = forkserver.Process(target=pytest.main, args=([*arguments, *tests],))
    process.start()
    process.join()
    result = ElementTree.parse(report).getroot()[0]
    numbers = {name: int(result.attrib[name]) for name in ("failures", "errors")}
    assert numbers == {"failures": 1, "errors": 0}, ElementTree.tostring(result, "unicode")[-2000:]
