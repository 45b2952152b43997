"""Bring the raw files of an IDX data set here: from a folder that has them, or from a mirror."""

import os
import shutil
import stat
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from mnist_hpc.data import idx
from mnist_hpc.errors import UserError, reason
from mnist_hpc.files.atomic import atomic
from mnist_hpc.study.layout import RAW_FILES

CHUNK = 1 << 16
# A server that drips forever is as useless as one that hangs: a file may take this many time-outs in all.
PATIENCE = 30


def folder_variable(dataset: str) -> str:
    """Return the environment variable that names a folder with the data set's files: MNIST_DIR for mnist."""
    return f"{dataset.upper().replace('-', '_')}_DIR"


def fetch(
    dataset: str,
    entry: Mapping[str, Any],
    folder: Path,
    search_path: Sequence[str],
    timeout: float = 20.0,
    tries: int = 3,
) -> None:
    """Put the four verified files of a data set into ``folder``.

    Places are tried in order: the folder named by the environment variable, those of the search path, the
    mirrors. A file that fails verification is as good as missing.

    Args:
        dataset: name of the data set.
        entry: of the config's ``datasets``: ``files`` with name, shape and sha256; ``mirrors``.
        folder: where the files go, under the names of ``RAW_FILES``.
        search_path: folders; ``~`` is expanded.
        timeout: seconds a mirror may stay silent.
        tries: how often a mirror is asked for a file.

    Raises:
        UserError: some file could not be had; names every place tried and why it failed.
    """
    variable = folder_variable(dataset)
    named = os.environ.get(variable)
    places = [*([named] if named else []), *search_path, *entry["mirrors"]]
    missing = dict(entry["files"])
    failures = [] if named else [f"{variable} is not set"]
    for place in places:
        for key, file in list(missing.items()):
            most = 2 * idx.size(tuple(file["shape"])) + 10_000  # gzip makes nothing that much longer
            try:
                with atomic(folder / RAW_FILES[key]) as target:
                    if place.startswith(("http://", "https://")):
                        download(f"{place.rstrip('/')}/{file['name']}", target, timeout, tries, most)
                    else:
                        copy(Path(place).expanduser() / file["name"], target, most)
                    idx.read_verified(target, file)
            except UserError as error:
                failures.append(f"{place}: {file['name']}: {str(error).removeprefix(f'{target}: ')}")
                break
            del missing[key]
            print(f"{dataset}: {file['name']} from {place}", file=sys.stderr)
        if not missing:
            return
    raise UserError(
        f"{dataset}: could not get {', '.join(file['name'] for file in missing.values())}. Tried: "
        f"{'; '.join(failures)}. Ways out: (1) set {variable} to a folder that has the four files; "
        f"(2) add such a folder to search_path, or a mirror to datasets.{dataset}.mirrors, in config.yaml; "
        "(3) run without a download: make demo, or --config dataset=digits"
    )


def copy(source: Path, target: Path, most: int) -> None:
    """Copy a file; raise UserError if it cannot be read, is something else, or has more bytes than it may."""
    try:
        about = source.stat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            raise UserError(f"expected a file of at most {most} bytes, found {about.st_size} bytes or no file")
        shutil.copyfile(source, target)
    except OSError as error:
        if error.filename == str(source):
            raise UserError(error.strerror or reason(error)) from None
        raise


def download(url: str, target: Path, timeout: float, tries: int, most: int) -> None:
    """Write what a URL gives to ``target``, with a progress bar on standard error.

    Raises:
        UserError: it fails, as often as it was tried, or gives more bytes than it may.
    """
    for attempt in range(1, tries + 1):
        try:
            return _download_once(url, target, timeout, most)
        except (requests.RequestException, ValueError) as error:  # the latter for an address that is none
            if attempt == tries:
                raise UserError(f"{_cause(error)} ({tries} tries, time-out {timeout:g} s)") from None
        time.sleep(min(attempt, timeout))
    raise AssertionError("the last try returns or raises")


def _download_once(url: str, target: Path, timeout: float, most: int) -> None:
    deadline = time.monotonic() + PATIENCE * timeout
    with requests.get(url, stream=True, timeout=timeout) as response:
        if response.status_code >= 400:
            text = f"the server answered {response.status_code} {response.reason}"
            raise UserError(text) if response.status_code < 500 else requests.RequestException(text)
        if url.startswith("https://") and not response.url.startswith("https://"):
            raise requests.RequestException(f"redirected from https to {response.url}")
        size = int(response.headers.get("Content-Length", 0)) or None
        # On a terminal the bar moves; in a log it is written every ten seconds.
        pause = 0.1 if sys.stderr.isatty() else 10.0
        with (
            target.open("wb") as file,
            tqdm(total=size, desc=url, unit="B", unit_scale=True, mininterval=pause) as bar,
        ):
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
                if file.tell() > most:
                    raise UserError(f"expected at most {most} bytes, found more")
                if time.monotonic() > deadline:
                    raise requests.Timeout(f"not done after {PATIENCE * timeout:g} s")


def _cause(error: Exception) -> str:
    """Return in a few words why a request failed."""
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    innermost: BaseException = error
    while innermost.__context__ is not None:
        innermost = innermost.__context__
    return reason(innermost)
