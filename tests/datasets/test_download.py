from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import time
from typing import TYPE_CHECKING

import numpy as np
import pooch
import pytest

from scdiffot import datasets
from scdiffot.datasets._published.download import STALE_AFTER, download, find, path_of
from scdiffot.datasets._published.registry import FILES, Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = np.random.default_rng(0).bytes(300_000)
CHUNK = 1 << 16  # bytes that are written at once; transfers resume at a multiple of it
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Shop:
    """Files of the server, its behaviour and the requested ranges."""

    def __init__(self) -> None:
        self.url = ""
        self.content = CONTENT
        self.send_at_most: list[int] = []  # bytes until the next connections close
        self.knows_ranges = True
        self.ranges: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    def __init__(self, shop: Shop, *args: object) -> None:
        self.shop = shop
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        shop, byte_range = self.shop, self.headers.get("Range")
        shop.ranges.append(byte_range)
        start = (
            int(byte_range.removeprefix("bytes=").removesuffix("-"))
            if byte_range and shop.knows_ranges
            else 0
        )
        if self.path != "/table.bin":
            self.send_error(404)
            return
        if start >= len(shop.content):
            self.send_error(416)
            return
        body = shop.content[start:]
        self.send_response(206 if byte_range and shop.knows_ranges else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: shop.send_at_most.pop(0)] if shop.send_at_most else body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, shop)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        shop.url = f"http://127.0.0.1:{server.server_port}/table.bin"
        yield shop
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def direct_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect to the test server without the proxies of the machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def get(shop: Shop, folder: Path, *, show_progress: bool = False, sha256: str = SHA256) -> Path:
    return download("shop/table.bin", Source(shop.url, sha256), folder, show_progress=show_progress)


def test_download_is_cached(shop, tmp_path):
    path = get(shop, tmp_path)
    assert path.read_bytes() == CONTENT
    assert get(shop, tmp_path) == path
    assert shop.ranges == [None]
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_interrupted_transfer_is_resumed(shop, tmp_path):
    # Every response is cut: pooch fails after three requests, and the next call completes the
    # file.
    shop.send_at_most = [CHUNK, 2 * CHUNK, CHUNK]
    with pytest.raises(
        ConnectionError, match=r"shop/table\.bin could not be downloaded .* Call again"
    ):
        get(shop, tmp_path)
    assert get(shop, tmp_path).read_bytes() == CONTENT
    assert shop.ranges == [None, f"bytes={CHUNK}-", f"bytes={3 * CHUNK}-", f"bytes={4 * CHUNK}-"]


def test_server_without_ranges_starts_over(shop, tmp_path):
    shop.knows_ranges = False
    shop.send_at_most = [CHUNK]
    assert get(shop, tmp_path).read_bytes() == CONTENT
    assert shop.ranges == [None, f"bytes={CHUNK}-"]


def test_part_longer_than_the_file_is_discarded(shop, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "table.bin.part").write_bytes(CONTENT + b"more")
    assert get(shop, tmp_path).read_bytes() == CONTENT
    assert shop.ranges == ["bytes=300004-", None]


def test_damaged_part_is_detected_and_replaced(shop, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "table.bin.part").write_bytes(b"x" * 1000)
    assert get(shop, tmp_path).read_bytes() == CONTENT
    assert shop.ranges == ["bytes=1000-", None]


def test_damaged_cache_is_repaired(shop, tmp_path):
    get(shop, tmp_path).write_bytes(b"damaged")
    assert get(shop, tmp_path).read_bytes() == CONTENT


def test_partial_file_of_a_killed_process_is_resumed(shop, tmp_path):
    (tmp_path / "shop").mkdir()
    for name, age in (("old", 2 * STALE_AFTER), ("new", 0)):
        part = tmp_path / "shop" / f"table.bin.{name}.part"
        part.write_bytes(CONTENT[:CHUNK])
        os.utime(part, (time() - age,) * 2)
    assert get(shop, tmp_path).read_bytes() == CONTENT
    assert shop.ranges == [f"bytes={CHUNK}-"]
    # the newer one may belong to a process that still writes
    assert sorted(p.name for p in (tmp_path / "shop").iterdir()) == [
        "table.bin",
        "table.bin.new.part",
    ]


# prints the hash of the downloaded file, or the error
CALL = """
import hashlib, os, sys
from pathlib import Path
from scdiffot.datasets._published.download import download
from scdiffot.datasets._published.registry import Source
import pooch, requests, rich.progress
url, sha256, folder, n = sys.argv[1:]
children = []
for i in range(int(n)):
    if os.fork() == 0:
        try:
            source = Source(url, sha256)
            path = download("shop/table.bin", source, Path(folder), show_progress=False)
            text = hashlib.sha256(path.read_bytes()).hexdigest()
        except BaseException as error:
            text = repr(error)
        os.write(1, (text + "\\n").encode())
        os._exit(0)
for i in range(int(n)):
    os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that start at once")
@pytest.mark.parametrize("cut", [False, True])
def test_concurrent_downloads_all_succeed(shop, tmp_path, cut):
    """Every process gets the file, also if transfers are cut and resumed."""
    n = 25
    if cut:
        # fewer than the tries of one process
        shop.send_at_most = [CHUNK, 2 * CHUNK]
    arguments = [sys.executable, "-c", CALL, shop.url, SHA256, str(tmp_path), str(n)]
    lines = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split("\n")
    assert lines == [SHA256] * n + [""]
    leftovers = {p.name for p in (tmp_path / "shop").iterdir()}
    assert leftovers <= {"table.bin", "table.bin.part"}
    # later processes find the file in the cache or download all of it
    assert (tmp_path / "shop" / "table.bin").read_bytes() == CONTENT


def test_unwritable_cache_is_no_connection_error(shop, tmp_path):
    (tmp_path / "shop").write_text("a file where the folder belongs")
    with pytest.raises(
        OSError, match=r"shop/table\.bin could not be written to the cache .*SCDIFFOT_DATA"
    ) as error_info:
        get(shop, tmp_path)
    assert not isinstance(error_info.value, ConnectionError)


def test_wrong_content_is_refused(shop, tmp_path):
    shop.content = b"<html>Please log in</html>"
    with pytest.raises(
        ValueError, match=r"is not the published shop/table\.bin.*SCDIFFOT_DATA"
    ) as error_info:
        get(shop, tmp_path)
    assert SHA256 in str(error_info.value)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_absent_page_is_a_connection_error(shop, tmp_path):
    shop.url = shop.url.replace("table", "absent")
    with pytest.raises(ConnectionError, match="404.*SCDIFFOT_DATA"):
        get(shop, tmp_path)


def test_progress_bar_names_the_file_and_can_be_silent(shop, tmp_path, capsys):
    get(shop, tmp_path / "a")
    assert "table.bin" not in capsys.readouterr().out
    get(shop, tmp_path / "b", show_progress=True)
    assert "table.bin" in capsys.readouterr().out


@pytest.mark.parametrize("relative", ["shop/table.bin", "table.bin"])
def test_folder_of_the_user(tmp_path, relative):
    path = tmp_path / relative
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(CONTENT)
    assert find("shop/table.bin", Source("https://example.org/table.bin", SHA256), tmp_path) == path


def test_damaged_file_in_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SCDIFFOT_DATA", str(tmp_path))
    (tmp_path / "emt.csv").write_bytes(CONTENT)
    source = FILES["deepruot/emt.csv"]
    with pytest.raises(
        ValueError, match=rf"emt\.csv is damaged .*{SHA256}, expected {source.sha256}.*{source.url}"
    ):
        datasets.deepruot("emt")
    assert (tmp_path / "emt.csv").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "load",
    [
        datasets.emt,
        datasets.mouse_hematopoiesis,
        datasets.zebrafish,
        datasets.mouse_embryo_spatial,
        partial(datasets.deepruot, "gaussian_10d"),
    ],
)
def test_missing_file_in_the_folder(monkeypatch, tmp_path, load):
    monkeypatch.setenv("SCDIFFOT_DATA", str(tmp_path))
    message = f"SCDIFFOT_DATA is {str(tmp_path)!r}, which has neither"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        load()


def test_addresses_are_pinned():
    for name, source in FILES.items():
        assert re.fullmatch(
            r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/.+", source.url
        ), name
        assert re.fullmatch("[0-9a-f]{64}", source.sha256), name
    assert len({source.sha256 for source in FILES.values()}) == len(FILES)


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere no variable moves the cache out of the user's folder"
)
def test_cache_is_used_without_a_folder(monkeypatch, tmp_path):
    # the file is already in the cache of pooch, so nothing is downloaded
    monkeypatch.delenv("SCDIFFOT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached_file = pooch.os_cache("scdiffot") / "diffusionot" / "gene_name_EMT.csv"
    cached_file.parent.mkdir(parents=True)
    cached_file.write_text(
        ",0\n" + "".join(f"{i},{marker}\n" for i, marker in enumerate(MARKERS)), encoding="utf-8"
    )
    assert path_of("diffusionot/gene_name_EMT.csv") == cached_file


MARKERS = """
    CD45 FAP CD44 IdU CD34 CASP3 CD117 Src EGFR ERBB2 Axl TROP2 PDGFRB POU2F1 Notch3 KRT8 CD274
    MUC1 RUNX1 SNAIL CDH1 Nanog H3C14 CD24 Smad2 NFkB1 RPS6KB1 Rb1 KRT7 Twist PDGFRA CTNNB1
    PECAM1 SNAI2 ITGB4 VIM PRKAA1 TGFβ
""".split()
