"""Alignment of chains of slices."""

from __future__ import annotations

import numpy as np
import pytest
from _tissue import errors, random_pose, tissue

from scdiffot.core.spatial.align.chains import _fit_poses, _Link, align_chain, n_links
from scdiffot.core.spatial.align.metaspots import spacing
from scdiffot.core.spatial.align.pose import Pose


@pytest.mark.slow
def test_a_chain_lies_in_the_frame_of_its_reference():
    rng = np.random.default_rng(0)
    slices = [tissue(150, rng) for _ in range(4)]
    poses = [random_pose(rng) for _ in slices]
    n_completed = []
    chain = align_chain(
        [(pose.apply(x), fx) for pose, (x, fx) in zip(poses, slices, strict=True)],
        1,
        progress=n_completed.append,
    )
    assert sum(n_completed) == n_links(4)
    assert chain.neighbors == [1, 1, 1, 2]
    assert chain.pairs[1] is None
    np.testing.assert_array_equal(chain.poses[1].rotation, np.eye(2))
    for i, (x, _) in enumerate(slices):
        angle, distance = errors(poses[1].inverse.compose(chain.poses[i]), poses[i], x)
        assert angle < 4
        assert distance < spacing(x)


def test_links_of_slices_two_apart_reduce_the_drift():
    """With independent errors of links, the end of a long chain drifts less with more links."""
    rng = np.random.default_rng(1)
    n = 12
    corners = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])

    def mean_drift(second):
        squared_errors = []
        for _ in range(20):
            links = []
            for step in (1, 2) if second else (1,):
                for i in range(n - step):
                    noise = Pose(Pose.turn(0.05 * rng.normal()).rotation, 0.05 * rng.normal(size=2))
                    links.append(_Link(i, i + step, noise, 1.0))
            poses = [Pose.identity()]
            for i in range(n - 1):
                poses.append(poses[-1].compose(links[i].pose))
            fitted_poses = _fit_poses(poses, links, [corners] * n, 0)
            squared_errors.append(
                ((fitted_poses[-1].apply(corners) - corners) ** 2).sum(axis=1).mean()
            )
        return np.mean(squared_errors)

    assert mean_drift(True) < 0.6 * mean_drift(False)


def test_consistent_links_leave_poses_unchanged():
    rng = np.random.default_rng(2)
    poses = [Pose.identity(), random_pose(rng), random_pose(rng)]
    corners = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    links = [
        _Link(i, j, poses[i].inverse.compose(poses[j]), 1.0) for i, j in ((0, 1), (1, 2), (0, 2))
    ]
    for pose, fitted_pose in zip(poses, _fit_poses(poses, links, [corners] * 3, 0), strict=True):
        np.testing.assert_allclose(fitted_pose.apply(corners), pose.apply(corners), atol=1e-9)


@pytest.mark.parametrize(("n", "expected"), [(2, 1), (3, 3), (6, 9)])
def test_the_number_of_links_of_a_chain(n, expected):
    assert n_links(n) == expected
