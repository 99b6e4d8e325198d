"""The autoencoder: it starts from the principal components, and training improves on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.decomposition import PCA

from scdiffot.core.genes.autoencoder import Autoencoder
from scdiffot.core.genes.autoencoder_fit import fit_autoencoder

OPTIONS = {"n_hidden": 32, "patience": 20, "n_validation": 60, "batch_size": 64}


def _fit(values, totals=None, **options):
    totals = np.ones(values.shape[0]) if totals is None else totals
    rng = np.random.default_rng(options.pop("seed", 0))
    return fit_autoencoder(
        values, totals, rng=rng, **{"likelihood": "gaussian", **OPTIONS, **options}
    )


def _curve(n=600, n_genes=15, noise=0.05, seed=0):
    """Return cells on a curve through all genes, so that one coordinate determines the profile."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(0, 1, n)[:, None]
    profiles = 1 + np.tanh(6 * (s - np.linspace(0.1, 0.9, n_genes)))
    return (profiles + noise * rng.normal(size=profiles.shape)).astype(np.float32), s[:, 0]


def _counts(n=600, n_genes=15, depth=300, seed=0):
    """Return Poisson counts of the same cells, with sequencing depths that differ tenfold."""
    profiles, s = _curve(n, n_genes, 0.0, seed)
    rng = np.random.default_rng(seed + 1)
    rates = np.expm1(2 * profiles) + 0.05
    rates /= rates.sum(axis=1, keepdims=True)
    return rng.poisson(depth * rng.uniform(0.3, 3, (n, 1)) * rates).astype(np.float32), np.log1p(
        1e4 * rates
    )


def test_training_starts_from_the_principal_components():
    values, _ = _curve()
    # one epoch; the initial state is kept if the epoch does not reduce the validation loss
    _, _, history = _fit(values, n_latent=3, max_epochs=1, seed=3)
    order = np.random.default_rng(3).permutation(len(values))
    validation, training = values[np.sort(order[:60])], values[np.sort(order[60:])]
    pca = PCA(3).fit(training)
    residual = ((pca.inverse_transform(pca.transform(validation)) - validation) ** 2).sum()
    explained = 1 - residual / ((validation - pca.mean_) ** 2).sum()
    assert history["explained_pca"] == pytest.approx(explained, abs=1e-4)
    # the loss is the squared error over the variance of the training cells
    assert history["loss_validation"][0] == pytest.approx(
        residual / len(validation) / training.var(axis=0).sum(), rel=1e-3
    )


def test_one_dimension_represents_a_curve():
    values, s = _curve()
    model, states, history = _fit(values, n_latent=1, max_epochs=80)
    # measured 0.81 to 0.86, and 0.986 to 0.988
    assert history["explained_pca"] < 0.9
    assert history["explained"] > 0.97
    assert abs(np.corrcoef(states[:, 0], s)[0, 1]) > 0.98
    assert len(history["loss_validation"]) <= 81
    with torch.no_grad():
        reencoded = model.encode(model.decode(torch.as_tensor(states)))
    assert np.corrcoef(reencoded[:, 0], states[:, 0])[0, 1] > 0.99


def test_decoded_counts_do_not_depend_on_sequencing_depth():
    counts, truth = _counts(400)
    totals = counts.sum(axis=1)
    model, states, history = _fit(
        sparse.csr_matrix(counts), totals, n_latent=1, likelihood="nb", max_epochs=80
    )
    # measured 0.65 and 0.71, against 0.44 and 0.51
    assert history["explained"] > history["explained_pca"] + 0.1
    with torch.no_grad():
        profiles = model.decode(torch.as_tensor(states)).numpy()
    assert (profiles >= 0).all()
    assert np.corrcoef(profiles.ravel(), truth.ravel())[0, 1] > 0.93
    # rates sum to the total of the normalisation
    np.testing.assert_allclose(np.expm1(profiles).sum(axis=1).mean(), 1e4, rtol=0.05)
    assert abs(np.corrcoef(states[:, 0], totals)[0, 1]) < 0.2


def test_states_are_standardised():
    values, _ = _curve()
    model, states, _ = _fit(values, n_latent=2, max_epochs=5)
    np.testing.assert_allclose(states.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(states.std(axis=0), 1, rtol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(model.encode(torch.as_tensor(values)).numpy(), states, atol=1e-5)


def test_results_do_not_depend_on_storage_and_units():
    values, _ = _curve()
    values = np.round(values, 2) * (values > 0.5)
    results = [_fit(v, n_latent=2, max_epochs=3) for v in (values, sparse.csr_matrix(values))]
    np.testing.assert_array_equal(results[0][1], results[1][1])
    # a power of two changes the exponents of floating-point numbers only
    rescaled = _fit(1024 * values, n_latent=2, max_epochs=1)
    reference = _fit(values, n_latent=2, max_epochs=1)
    assert rescaled[2]["loss_validation"][0] == pytest.approx(
        reference[2]["loss_validation"][0], rel=1e-4
    )


def test_an_autoencoder_is_rebuilt_from_its_arrays():
    values, _ = _curve(200)
    model, states, _ = _fit(values, n_latent=2, max_epochs=2)
    copy = Autoencoder.from_arrays(model.to_arrays())
    z = torch.as_tensor(states)
    assert torch.equal(copy.decode(z), model.decode(z))
    assert copy.likelihood == "gaussian"
    assert not any(p.requires_grad for p in copy.parameters())


def test_vectorised_derivatives_of_a_decoder_are_finite_differences():
    values, _ = _curve(200)
    model, states, _ = _fit(values, n_latent=2, max_epochs=2)
    z = torch.as_tensor(states[:5])
    jacobians = torch.func.vmap(torch.func.jacrev(lambda s: model.decode(s[None])[0]))(z)
    step = 1e-2
    with torch.no_grad():
        slope = (
            model.decode(z + step * torch.eye(2)[0]) - model.decode(z - step * torch.eye(2)[0])
        ) / (2 * step)
    # tolerance of float32 at a step of 0.01
    np.testing.assert_allclose(jacobians[:, :, 0], slope, atol=1e-3 * float(slope.abs().max()))


def test_an_interrupted_fit_returns_the_best_state():
    values, _ = _curve(200)

    def stop(progress):
        if progress.step == 2:
            raise KeyboardInterrupt

    rng = np.random.default_rng(0)
    options = {**OPTIONS, "n_latent": 1, "likelihood": "gaussian", "max_epochs": 50}
    _, states, history = fit_autoencoder(values, np.ones(200), rng=rng, callback=stop, **options)
    assert history["interrupted"] is True
    assert len(history["loss"]) == 3
    assert np.isfinite(states).all()
