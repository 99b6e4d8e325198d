"""Files of the published data sets: address and hash of every file."""

from __future__ import annotations

from typing import NamedTuple

_RAW = "https://raw.githubusercontent.com"
_DIFFUSIONOT = f"{_RAW}/liujuntan/DiffusionOT/bb3c5bd0c18066e90929961e92b79ffd9abb5e86"
_DEEPRUOT = f"{_RAW}/zhenyiizhang/DeepRUOT/2289c81032010922aadd9f848db9ffb1a10efb48"
_MUSCAT = f"{_RAW}/HelenaLC/muscat/017b290b414212c357e184d17edcca27f4302ace"


class Source(NamedTuple):
    """One file of a public repository, at one commit."""

    url: str
    sha256: str


FILES = {
    "diffusionot/EMT.npz": Source(
        f"{_DIFFUSIONOT}/Input/EMT.npz",
        "697f8859d52f3650821839e205ab1b231f69ec1367c5336508c7bd21a7f5612e",
    ),
    "diffusionot/pca_model_2d_EMT.pkl": Source(
        f"{_DIFFUSIONOT}/Output/pca_model_2d_EMT.pkl",
        "0ad062a6937a24b6f3b014d0d4d309cd9207a4be4dacd79b3cb781696c1af7d7",
    ),
    # The same model as plain arrays, for folders that hold it in this form; the address is that of
    # the model.
    "diffusionot/EMT_pca.npz": Source(
        f"{_DIFFUSIONOT}/Output/pca_model_2d.pkl",
        "e7610373aa7008ed7454bb29ddb8b82fa44589c2a283ff549354364e3bec78f2",
    ),
    "diffusionot/gene_name_EMT.csv": Source(
        f"{_DIFFUSIONOT}/Rawdata/gene_name_EMT.csv",
        "ad8279b5cf706fafc3c3e6b9a8498be21573157b03986212d8afcca898d5982c",
    ),
    "diffusionot/MISA.npy": Source(
        f"{_DIFFUSIONOT}/Input/MISA.npy",
        "451b220fdcb5139beaf60fb273623ab19395f42cf15ee96775ec2dfd36fc263a",
    ),
    "diffusionot/Mouse_latent_ae_scaled.npz": Source(
        f"{_DIFFUSIONOT}/Input/Mouse_latent_ae_scaled.npz",
        "755ea656785639e9991549f187a645eb54b688c0b25de99f7839532d27e8861f",
    ),
    "diffusionot/Spa_latent_ae_scaled.npz": Source(
        f"{_DIFFUSIONOT}/Input/Spa_latent_ae_scaled.npz",
        "3835b85f718af687309ee20e93f25eae042fe6434d4d3c8c1a5dee53ce4b1857",
    ),
    "diffusionot/Zebrafish_latent_ae_scaled.npz": Source(
        f"{_DIFFUSIONOT}/Input/Zebrafish_latent_ae_scaled.npz",
        "239ffba483e774cf1e80856641d76ba3e9d005b5e63523fac5461242ab4adf5d",
    ),
    "deepruot/emt.csv": Source(
        f"{_DEEPRUOT}/data/emt.csv",
        "820eca0ca6a9b8c5aba970dda04052b2e2ea4489b712b948559fe5cd185a8294",
    ),
    "deepruot/gaussian_10d.csv": Source(
        f"{_DEEPRUOT}/data/gaussian_10d.csv",
        "85f20ad7d9227455dcb9981fd75c293946e28104bb94d77837c793c054f63f8b",
    ),
    "deepruot/gaussian_20d.csv": Source(
        f"{_DEEPRUOT}/data/gaussian_20d.csv",
        "0b71ab71af23dc744ca0fe9c45326d1442c6ed2cdf10cb4f1308bc03512d23df",
    ),
    "deepruot/gaussian_50d.csv": Source(
        f"{_DEEPRUOT}/data/gaussian_50d.csv",
        "0e886f224c545eeb1fb1617c76a0761132d1c71ee456e612a48a051edc2a751e",
    ),
    "deepruot/gaussian_100d.csv": Source(
        f"{_DEEPRUOT}/data/gaussian_100d.csv",
        "49e58b6697c00d863ece2d5439b2e9d7a85c980392f900b420c7d5ab8ec321b3",
    ),
    "deepruot/mouse_hematopoiesis.csv": Source(
        f"{_DEEPRUOT}/data/mouse_hematopoiesis.csv",
        "be4360cd67e76205501de63124379be5c82506748e018197a3fdb4dbb1c7ca2f",
    ),
    "deepruot/simulation_gene_data.csv": Source(
        f"{_DEEPRUOT}/data/simulation_gene_data.csv",
        "d41e3bcd94ff55383264461f2eed048780dbea8faffb77011cff9b8dce231d10",
    ),
    "response/example_sce.rda": Source(
        f"{_MUSCAT}/data/example_sce.rda",
        "f66811fa513a01a91dae01bad308e96ed5238277246b911d8e1cd5f4425c3ed9",
    ),
    # The same object without R, for folders that hold it in this form; the address is that of the
    # object.
    "response/kang_two_donors.h5ad": Source(
        f"{_MUSCAT}/data/example_sce.rda",
        "d4c3dc431db37db6d819ebd20aceca648fb23beb83266a501bf3643f971d78ee",
    ),
}
