from __future__ import annotations

import numpy as np

from scdiffot._analysis.neighbors import embed, embed_vectors


def _flow(n=2000, seed=0):
    """Cells on a plane in ten dimensions, a rotation, and both on a smooth embedding."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(-1, 1, size=(n, 2))
    lift = rng.normal(size=(2, 10))
    turn = np.column_stack([-z[:, 1], z[:, 0]]) + 0.5
    embedding = np.column_stack([z[:, 0] + 0.3 * z[:, 1] ** 2, np.tanh(z[:, 1])])
    truth = np.column_stack(
        [turn[:, 0] + 0.6 * z[:, 1] * turn[:, 1], turn[:, 1] / np.cosh(z[:, 1]) ** 2]
    )
    return z, z @ lift, turn @ lift, embedding, truth


def test_points_land_among_their_neighbours():
    z, states, _, embedding, _ = _flow()
    positions = embed(states, states, embedding)
    inside = np.abs(z).max(axis=1) < 0.8
    # The distance between neighbours is about 2 / sqrt(2000).
    assert np.abs(positions - embedding)[inside].max() < 0.1


def test_few_cells_are_enough():
    states = np.array([[0.0], [1.0]])
    positions = embed(np.array([[0.0], [0.5], [1.0]]), states, np.array([[5.0, 0.0], [6.0, 1.0]]))
    np.testing.assert_allclose(positions[1], [5.5, 0.5])
    assert 5 <= positions[0, 0] < 5.2
    assert 5.8 < positions[2, 0] <= 6


def test_vectors_follow_the_embedding():
    z, states, vectors, embedding, truth = _flow()
    result = embed_vectors(vectors, states, embedding)
    inside = np.abs(z).max(axis=1) < 0.8
    cosine = (
        (result * truth).sum(1) / np.linalg.norm(result, axis=1) / np.linalg.norm(truth, axis=1)
    )
    assert np.median(cosine[inside]) > 0.99
    lengths = np.linalg.norm(result, axis=1) / np.linalg.norm(truth, axis=1)
    assert 0.85 < np.median(lengths[inside]) < 1.05


def test_vectors_scale_and_vanish():
    _, states, vectors, embedding, _ = _flow(300)
    vectors[:3] = 0
    result = embed_vectors(vectors, states, embedding)
    assert not result[:3].any()
    np.testing.assert_allclose(
        embed_vectors(1e6 * vectors, states, embedding), 1e6 * result, rtol=1e-6
    )
    np.testing.assert_allclose(
        embed_vectors(vectors, states, 3 * embedding + 1), 3 * result, rtol=1e-6, atol=1e-9
    )
