"""Files of the registry on this machine: from a folder of the user, from the cache, or downloaded."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from time import time
from urllib.parse import urlsplit

from .registry import FILES, Source

FOLDER_VARIABLE = "SCDIFFOT_DATA"
# seconds without a byte after which a transfer fails
TIMEOUT = 30
# seconds after which a file that nobody writes to belongs to a process that was killed
ABANDONED = 20 * TIMEOUT


def path_of(name: str, *, show_progress: bool = True) -> Path:
    """Make a file of the registry available, and check that it is the published one.

    Parameters
    ----------
    name
        Key of the registry, such as `"diffusionot/EMT.npz"`.
    show_progress
        Whether a download shows a progress bar.

    Returns
    -------
    Where the verified file is.

    Raises
    ------
    FileNotFoundError
        If `SCDIFFOT_DATA` is set and the file is not there.
    ValueError
        If the file, or what was downloaded, has another sha256.
    ConnectionError
        If the download fails. What had arrived is kept, and the next call goes on from there.
    OSError
        If the cache cannot be written.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return find(name, FILES[name], Path(folder).expanduser())
    import pooch

    return download(
        name, FILES[name], Path(pooch.os_cache("scdiffot")), show_progress=show_progress
    )


def find(name: str, source: Source, folder: Path) -> Path:
    """Take a file from a folder that keeps them as the registry names them, or all in one place."""
    for path in (folder / name, folder / Path(name).name):
        if path.is_file():
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found == source.sha256:
                return path
            raise ValueError(
                f"{path} is damaged or another version: its sha256 is {found}, expected {source.sha256}. Copy it again "
                f"from {source.url}, or unset {FOLDER_VARIABLE} to download it."
            )
    raise FileNotFoundError(
        f"{FOLDER_VARIABLE} is {str(folder)!r}, which has neither {name} nor {Path(name).name}: put the file there "
        f"(from {source.url}), or unset {FOLDER_VARIABLE} to download it."
    )


def download(name: str, source: Source, folder: Path, *, show_progress: bool = True) -> Path:
    """Take a file from the cache, which is repaired where its hash is wrong, or download it."""
    import pooch
    import requests

    cache = pooch.create(
        path=folder,
        base_url="",
        registry={name: f"sha256:{source.sha256}"},
        urls={name: source.url},
        retry_if_failed=2,
    )
    try:
        return Path(cache.fetch(name, downloader=ResumingDownloader(show_progress=show_progress)))
    except ValueError as error:
        raise ValueError(
            f"What {source.url} sends is not the published {name}: {error} Check for a proxy that answers in its place, "
            f"or put the file into a folder and name that folder in {FOLDER_VARIABLE}."
        ) from error
    except requests.RequestException as error:
        raise ConnectionError(
            f"{name} could not be downloaded from {source.url} ({error}). Call again to go on where it stopped; without "
            f"a network, put the file into a folder and name that folder in {FOLDER_VARIABLE}."
        ) from error
    except OSError as error:
        raise OSError(
            f"{name} could not be written to the cache {folder} ({error}). Make room there, or put the file into another "
            f"folder and name that folder in {FOLDER_VARIABLE}."
        ) from error


class ResumingDownloader:
    """Downloader for pooch that continues an interrupted transfer, and shows its progress.

    Each transfer writes to a file of its own, so that several may run at once. What an interrupted one leaves waits in
    the cache, with the suffix ``.part``, and belongs to the one that renames it first. Nothing in it is trusted: pooch
    compares the hash of the whole file before it moves it into place.

    Parameters
    ----------
    show_progress
        Whether to show a progress bar.
    """

    def __init__(self, *, show_progress: bool = True) -> None:
        self.show_progress = show_progress

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download `url` to `output_file`; `pooch` is the caller, which is not needed."""
        filename = Path(urlsplit(url).path).name
        waiting = Path(output_file).with_name(f"{filename}.part")
        part = waiting.with_name(f"{filename}.{token_hex(8)}.part")
        _claim(waiting, part)
        try:
            self._transfer(url, part, filename)
        except BaseException:
            # also after Ctrl-C; where nothing has arrived, there is no file
            with suppress(FileNotFoundError):
                part.replace(waiting)
            raise
        part.replace(output_file)

    def _transfer(self, url: str, part: Path, filename: str) -> None:
        """Append to a file what is missing of it."""
        import requests
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        arrived = part.stat().st_size if part.exists() else 0
        # What the network does wrong must be errors of requests: pooch tries again after those only.
        # identity: a range counts bytes of what is sent, which must be those of the file
        headers = {"Accept-Encoding": "identity"} | (
            {"Range": f"bytes={arrived}-"} if arrived else {}
        )
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                part.unlink()
                raise requests.exceptions.ConnectionError(
                    "the part that had arrived does not fit the file any more"
                )
            response.raise_for_status()
            resumed = response.status_code == requests.codes.partial_content
            arrived = arrived if resumed else 0
            total = (
                arrived + int(response.headers["Content-Length"])
                if "Content-Length" in response.headers
                else None
            )
            columns = [
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
            ]
            with (
                Progress(*columns, disable=not self.show_progress) as progress,
                part.open("ab" if resumed else "wb") as f,
            ):
                task = progress.add_task(filename, total=total, completed=arrived)
                for chunk in response.iter_content(1 << 16):
                    f.write(chunk)
                    arrived += len(chunk)
                    progress.update(task, completed=arrived)
        if total is not None and arrived < total:
            raise requests.exceptions.ConnectionError(
                f"the connection closed after {arrived} of {total} bytes"
            )


def _claim(waiting: Path, part: Path) -> None:
    """Rename what an earlier transfer has left, if anything; of several claims one succeeds."""
    for path in (waiting, *waiting.parent.glob(f"{waiting.stem}.*.part")):
        with suppress(FileNotFoundError):
            if path == waiting or time() - path.stat().st_mtime > ABANDONED:
                path.rename(part)
                return
