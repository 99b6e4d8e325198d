"""Models of scvi-tools as decoders, by the recipe in the documentation."""

from __future__ import annotations

import inspect
import textwrap
import warnings

import anndata as ad
import numpy as np
import pytest
import torch
from torch import nn

import scdiffot as sdo
from scdiffot._data.write.decoders import read_genes
from scdiffot.core.genes.decoders import decoded_velocity


def _recipe() -> type:
    """The class in the docstring of `tl.gene_velocity`."""
    text = inspect.cleandoc(sdo.tl.gene_velocity.__doc__)
    lines = text[text.index("    class Decoder:") : text.index("    adata.obsm[")]
    result: dict = {"torch": torch}
    exec(textwrap.dedent(lines), result)
    return result["Decoder"]


class _Layers(nn.Module):
    """Layers that take the batch index of every cell like `scvi.nn.FCLayers`."""

    def __init__(self, n_in: int, n_out: int, n_batch: int = 1) -> None:
        super().__init__()
        self.n_batch = n_batch if n_batch > 1 else 0
        self.line = nn.Linear(n_in + self.n_batch, n_out)

    def forward(self, x, batch):
        assert batch.shape == (len(x), 1)
        if self.n_batch:
            x = torch.cat([x, nn.functional.one_hot(batch.squeeze(-1), self.n_batch)], dim=1)
        return torch.tanh(self.line(x))


class _Stub:
    """The parts of a trained `scvi.model.SCVI` that the recipe uses."""

    def __init__(self, n_genes: int, n_latent: int, n_batch: int = 1) -> None:
        torch.manual_seed(0)
        module = nn.Module()
        module.n_batch = n_batch
        module.z_encoder = nn.Module()
        module.z_encoder.encoder = _Layers(n_genes, 8)
        module.z_encoder.mean_encoder = nn.Linear(8, n_latent)
        module.decoder = nn.Module()
        module.decoder.px_decoder = _Layers(n_latent, 8, n_batch)
        module.decoder.px_scale_decoder = nn.Sequential(nn.Linear(8, n_genes), nn.Softmax(dim=-1))
        self.module = module


def _cells(n: int = 90, n_genes: int = 10) -> ad.AnnData:
    rng = np.random.default_rng(0)
    time = np.repeat([0.0, 1.0, 2.0], n // 3)
    rates = np.exp(rng.normal(size=(n, 2)) + 0.3 * time[:, None]) @ rng.gamma(1, 4, (2, n_genes))
    adata = ad.AnnData(rng.poisson(rates).astype(np.float32))
    adata.obs["time"] = time
    return adata


def _check(adata: ad.AnnData, decoder, quick: dict, *, at_kinks: float) -> None:
    sdo.tl.fit(
        adata,
        "time",
        use_rep="X_scVI",
        **{**quick, "config": {**quick["config"], "train": {"n_steps": 5}}},
    )
    sdo.tl.gene_velocity(adata, decoder=decoder)
    result = adata.layers["scdiffot_velocity"]
    assert np.isfinite(result).all()
    space, step = read_genes(adata, "scdiffot", decoder), 0.03
    z, drift = adata.obsm["X_scVI"], adata.obsm["scdiffot_velocity"]
    slope = (space.decode(z + step * drift) - space.decode(z - step * drift)) / (2 * step)
    # float32 rounding of logarithms near seven divided by the step, and its square times a third
    # derivative
    wrong = np.abs(result - slope) > 0.02 * np.abs(slope).max()
    assert wrong.mean() <= at_kinks
    # rates sum to 10,000 for all states
    np.testing.assert_allclose(np.expm1(space.decode(z)).sum(axis=1), 1e4, rtol=1e-3)
    # derivatives for all cells at once, as `tl.regulation` computes them
    jacobians = torch.func.vmap(torch.func.jacrev(lambda s: decoder.decode(s[None])[0]))(
        torch.as_tensor(z[:4])
    )
    along = (jacobians @ torch.as_tensor(drift[:4])[:, :, None])[:, :, 0]
    expected = decoded_velocity(decoder, torch.as_tensor(z[:4]), torch.as_tensor(drift[:4]))
    torch.testing.assert_close(along, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n_batch", [1, 3])
def test_recipe_with_a_model_of_the_same_methods(quick, n_batch):
    adata = _cells()
    model = _Stub(adata.n_vars, 3, n_batch)
    decoder = _recipe()(model)
    with torch.no_grad():
        adata.obsm["X_scVI"] = decoder.encode(torch.log1p(torch.as_tensor(adata.X))).numpy()
    _check(adata, decoder, quick, at_kinks=0.0)


def test_expression_is_the_mean_over_batches():
    model = _Stub(10, 3, n_batch=2)
    z = torch.randn(5, 3)
    line, out = model.module.decoder.px_decoder.line, model.module.decoder.px_scale_decoder
    hot = torch.eye(2)
    with torch.no_grad():
        scales = [
            out(torch.tanh(z @ line.weight[:, :3].T + line.weight[:, 3:] @ hot[b] + line.bias))
            for b in (0, 1)
        ]
        result = _recipe()(model).decode(z)
    assert not torch.allclose(scales[0], scales[1], rtol=0.01)
    torch.testing.assert_close(
        torch.expm1(result), 1e4 * (scales[0] + scales[1]) / 2, rtol=1e-4, atol=1e-2
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch_key", [None, "batch"])
def test_scvi_tools(quick, batch_key):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scvi = pytest.importorskip("scvi")
    adata = _cells()
    adata.obs["batch"] = np.resize(["a", "b"], adata.n_obs)
    scvi.model.SCVI.setup_anndata(adata, batch_key=batch_key)
    model = scvi.model.SCVI(adata, n_latent=3, n_hidden=16)
    model.train(max_epochs=2, enable_progress_bar=False, logger=False, accelerator="cpu")
    adata.obsm["X_scVI"] = model.get_latent_representation()
    decoder = _recipe()(model)
    # the input of the encoder is log1p of counts, with the total of each cell
    with torch.no_grad():
        latent = decoder.encode(torch.log1p(torch.as_tensor(adata.X))).numpy()
    np.testing.assert_allclose(latent, adata.obsm["X_scVI"], atol=1e-4)
    # finite differences may cross a kink of its rectified units
    _check(adata, decoder, quick, at_kinks=0.03)
