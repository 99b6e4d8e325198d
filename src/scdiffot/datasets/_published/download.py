"""Find the files of the registry in a folder of the user or in the cache, or download them."""

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
# Seconds without a byte after which a transfer fails
TIMEOUT = 30
# Seconds without a change after which the partial file of another process is taken over
STALE_AFTER = 20 * TIMEOUT


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
    Path of the verified file.

    Raises
    ------
    FileNotFoundError
        If `SCDIFFOT_DATA` is set and its folder lacks the file.
    ValueError
        If the file, local or downloaded, has another sha256.
    ConnectionError
        If the download fails. The partial file is kept, and the next call resumes it.
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
    """Find a file in a folder, under its path in the registry or directly in the folder."""
    for path in (folder / name, folder / Path(name).name):
        if path.is_file():
            with path.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            if sha256 == source.sha256:
                return path
            raise ValueError(
                f"{path} is damaged or another version: its sha256 is {sha256}, expected "
                f"{source.sha256}. Copy it again from {source.url}, or unset {FOLDER_VARIABLE} "
                "to download it."
            )
    raise FileNotFoundError(
        f"{FOLDER_VARIABLE} is {str(folder)!r}, which has neither {name} nor {Path(name).name}: "
        "put the file there "
        f"(from {source.url}), or unset {FOLDER_VARIABLE} to download it."
    )


def download(name: str, source: Source, folder: Path, *, show_progress: bool = True) -> Path:
    """Find a file in the cache, or download it, also if the hash of the cached file is wrong."""
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
            f"The file from {source.url} is not the published {name}: {error} "
            "Check for a proxy that answers in its place, or put the file into a folder and name "
            f"that folder in {FOLDER_VARIABLE}."
        ) from error
    except requests.RequestException as error:
        raise ConnectionError(
            f"{name} could not be downloaded from {source.url} ({error}). Call again to resume; "
            "without a network, put the file into a folder and name that folder in "
            f"{FOLDER_VARIABLE}."
        ) from error
    except OSError as error:
        raise OSError(
            f"{name} could not be written to the cache {folder} ({error}). Make room there, or put "
            f"the file into another folder and name that folder in {FOLDER_VARIABLE}."
        ) from error


class ResumingDownloader:
    """Downloader for pooch that resumes an interrupted transfer and shows its progress.

    Each transfer writes to its own file, so that several may run at once. An interrupted transfer
    leaves a partial file in the cache, with the suffix ``.part``; the transfer that renames it
    first resumes it. A partial file need not be trusted, because pooch checks the hash of the
    complete file before it moves the file into place.

    Parameters
    ----------
    show_progress
        Whether to show a progress bar.
    """

    def __init__(self, *, show_progress: bool = True) -> None:
        self.show_progress = show_progress

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download `url` to `output_file`; `pooch` is the caller and is not used."""
        filename = Path(urlsplit(url).path).name
        leftover = Path(output_file).with_name(f"{filename}.part")
        part = leftover.with_name(f"{filename}.{token_hex(8)}.part")
        _claim(leftover, part)
        try:
            self._transfer(url, part, filename)
        except BaseException:
            # also after Ctrl-C; a transfer without any byte has no file
            with suppress(FileNotFoundError):
                part.replace(leftover)
            raise
        part.replace(output_file)

    def _transfer(self, url: str, part: Path, filename: str) -> None:
        """Append the missing bytes to a partial file."""
        import requests
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        n_bytes = part.stat().st_size if part.exists() else 0
        # identity encoding, because a range counts bytes of the encoded content
        headers = {"Accept-Encoding": "identity"} | (
            {"Range": f"bytes={n_bytes}-"} if n_bytes else {}
        )
        # errors are raised as those of requests, because pooch retries after those only
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                part.unlink()
                raise requests.exceptions.ConnectionError(
                    "the partial file no longer matches the published one"
                )
            response.raise_for_status()
            is_resumed = response.status_code == requests.codes.partial_content
            n_bytes = n_bytes if is_resumed else 0
            total = (
                n_bytes + int(response.headers["Content-Length"])
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
                part.open("ab" if is_resumed else "wb") as f,
            ):
                task = progress.add_task(filename, total=total, completed=n_bytes)
                for chunk in response.iter_content(1 << 16):
                    f.write(chunk)
                    n_bytes += len(chunk)
                    progress.update(task, completed=n_bytes)
        if total is not None and n_bytes < total:
            raise requests.exceptions.ConnectionError(
                f"the connection closed after {n_bytes} of {total} bytes"
            )


def _claim(leftover: Path, part: Path) -> None:
    """Rename the partial file of an earlier transfer, if any; of several claims one succeeds."""
    for path in (leftover, *leftover.parent.glob(f"{leftover.stem}.*.part")):
        with suppress(FileNotFoundError):
            if path == leftover or time() - path.stat().st_mtime > STALE_AFTER:
                path.rename(part)
                return
