"""Get the raw files of an IDX data set from a folder that has them, or from a mirror."""

import gzip
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from mnist_hpc.console import say
from mnist_hpc.data import idx
from mnist_hpc.errors import UserError, reason
from mnist_hpc.files.atomic import atomic
from mnist_hpc.study.layout import RAW_FILES

CHUNK = 1 << 16
# Seconds a server may stay silent, and how often it is asked for a file while it does not answer or is overloaded.
TIMEOUT = 20.0
ATTEMPTS = 3


def fetch(dataset: str, entry: Mapping[str, Any], folder: Path, search_path: Sequence[str]) -> None:
    """Put the four verified files of a data set into a folder.

    The folder named by an environment variable (MNIST_DIR for mnist) comes first, then the search path, then the
    mirrors. A file that fails verification counts as missing. ``~`` in a folder is expanded. Raise
    UserError if a file was not found anywhere; the message says why each place failed.
    """
    variable = f"{dataset.upper().replace('-', '_')}_DIR"
    named = os.environ.get(variable)
    missing = dict(entry["files"])
    failures: dict[str, str] = {}  # the first of each place
    for place in [*([named] if named else []), *search_path, *entry["mirrors"]]:
        for key, file in list(missing.items()):
            path = folder / RAW_FILES[key]
            try:
                _get(place, file, path)
            except UserError as error:
                failures.setdefault(place, f"{place}: {file['name']}: {error}")
                if _is_mirror(place):  # which may have taken a minute to fail
                    break
            except OSError as error:  # of the target; a full disk has no name
                raise OSError(error.errno, error.strerror, str(path)) from None
            else:
                del missing[key]
                say(f"{dataset}: {file['name']} from {place}")
        if not missing:
            return
    raise UserError(
        f"{dataset}: could not get {', '.join(file['name'] for file in missing.values())}. Tried: "
        f"{'' if named else f'{variable} is not set; '}"
        f"{'; '.join(failures.values())}. "
        f"Ways out: (1) set {variable} to a folder that has the four files; (2) add such a folder to search_path, or a "
        f"mirror to datasets.{dataset}.mirrors, in config.yaml; (3) run without a download: make demo, or --config "
        "dataset=digits"
    )


def _is_mirror(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _get(place: str, file: Mapping[str, Any], path: Path) -> None:
    """Copy or download one file and verify it; raise UserError if that fails."""
    with atomic(path) as target:
        if _is_mirror(place):
            most = 2 * idx.size(tuple(file["shape"])) + 10_000  # gzip never makes a file that much larger
            download(f"{place.rstrip('/')}/{file['name']}", target, most)
        else:
            try:
                content = (Path(place).expanduser() / file["name"]).read_bytes()
            except (OSError, RuntimeError) as error:  # RuntimeError: ~ of an unknown user
                raise UserError(getattr(error, "strerror", None) or reason(error)) from None
            target.write_bytes(content)
        idx.read(target, file)


def download(url: str, target: Path, most: int) -> None:
    """Write the content of a URL to a file, with a progress bar; raise UserError if it has more than ``most`` bytes."""
    retry = Retry(
        ATTEMPTS - 1,
        backoff_factor=0.5,
        status_forcelist=[429, *range(500, 600)],
        raise_on_status=False,
        respect_retry_after_header=False,  # it may be hours
    )
    try:
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=retry))
            with session.get(url, stream=True, timeout=TIMEOUT) as response:
                _save(response, target, most)
    except (requests.RequestException, ValueError) as error:  # ValueError: a redirect to an invalid address
        cause: BaseException = error
        while cause.__context__ is not None:
            cause = cause.__context__
        raise UserError(f"{reason(cause)} (at most {ATTEMPTS} attempts, time-out {TIMEOUT:g} s)") from None


def _save(response: requests.Response, target: Path, most: int) -> None:
    if response.status_code >= 400:
        raise UserError(f"the server answered {response.status_code} {response.reason}")
    if any(earlier.url.startswith("https://") for earlier in response.history) and response.url.startswith("http://"):
        raise UserError(f"redirected from https to {response.url}")
    size = int(response.headers.get("Content-Length", 0)) or None
    # On a terminal the bar moves; in a log it is written every ten seconds.
    pause = 0.1 if sys.stderr.isatty() else 10.0
    with (
        target.open("wb") as file,
        tqdm(total=size, desc=response.url, unit="B", unit_scale=True, mininterval=pause) as bar,
    ):
        for chunk in response.iter_content(CHUNK):
            bar.update(file.write(chunk))
            if file.tell() > most:
                raise UserError(f"expected at most {most} bytes, found more")
    if "Content-Encoding" in response.headers:
        _compress(target)


def _compress(path: Path) -> None:
    """Compress a file whose gzip the server called an encoding of the transfer, which ``requests`` has undone."""
    content = path.read_bytes()
    if not content.startswith(idx.GZIP):
        path.write_bytes(gzip.compress(content))
