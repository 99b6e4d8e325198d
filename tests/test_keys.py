from __future__ import annotations

import pytest

from scdiffot._utils.keys import Keys


def test_names_of_keys():
    keys = Keys("run")
    assert keys.velocity == "run_velocity"
    assert (
        keys.projection("umap")
        == keys.projection("X_umap")
        == keys.projection("rna:X_umap")
        == "run_velocity_umap"
    )


def test_wrong_names_of_keys_are_refused():
    with pytest.raises(TypeError, match="`key_added` is a int"):
        Keys(3)
    for name in ("", "a/b"):
        with pytest.raises(ValueError, match="`key_added` is"):
            Keys(name)
        with pytest.raises(ValueError, match="`key` is"):
            Keys(name, "key")
