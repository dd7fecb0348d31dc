"""``trace fetch``: a public trace from its official address into the data folder, checked, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from simlora.errors import ConfigError, TraceError, unknown_name
from simlora.study.store import one_message
from simlora.study.workloads import DATA_VARIABLE, data_dir
from simlora.workload.catalogue import list_traces
from simlora.workload.downloads import DOWNLOADS, Download

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 30.0
ALREADY_WHOLE = 416
"""HTTP: the range asked for begins at the end of the file."""


def find_download(name: str) -> Download:
    """What is fetched under a trace's name; :class:`ConfigError` for a trace that isn't published as one file."""
    if name in DOWNLOADS:
        return DOWNLOADS[name]
    if name in [trace.name for trace in list_traces()]:
        raise ConfigError(
            f'"{name}" can\'t be fetched: it is made here, or what it reads is a selection that nobody publishes '
            f"(traces/README.md says what the file holds); to be fetched: {', '.join(DOWNLOADS)}"
        )
    raise unknown_name("trace to fetch", name, DOWNLOADS)


def terms(name: str, download: Download) -> str:
    """What one should know before."""
    checked = f"SHA-256 {download.sha256}" if download.sha256 else "no checksum is published: it is taken as it comes"
    facts = {"from": download.url, "licence": download.licence, "cite": download.cite, "check": checked}
    return "\n".join((name, *(f"  {key:8} {value}" for key, value in facts.items())))


def target_of(download: Download, folder: Path | None) -> Path:
    """Where it goes: under ``folder`` or the data folder; :class:`ConfigError` if neither is named."""
    root = folder or data_dir()
    if root is None:
        raise ConfigError(f"no data folder: set {DATA_VARIABLE}, or say --data DIR")
    return root / download.file


def fetch(download: Download, target: Path, progress: Callable[[int], None]) -> None:
    """Fetch into ``target``, which appears when all is there and right; ``progress`` is told the bytes so far.

    What an interrupted fetch left beside it (``.part``) is gone on with. Raises :class:`TraceError` without network,
    for another answer of the server, or for other bytes than published.
    """
    part = target.with_name(f"{target.name}.part")
    with one_message(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(download, part, progress)
        _check(download, part)
        if target.suffix == ".gz":
            packed = target.with_name(f"{target.name}.packed")
            with part.open("rb") as raw, gzip.GzipFile(packed, "wb", mtime=0) as file:
                shutil.copyfileobj(raw, file)
            os.replace(packed, target)
            part.unlink()
        else:
            os.replace(part, target)


def _download(download: Download, part: Path, progress: Callable[[int], None]) -> None:
    url = download.url
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            resumed = answer.status == 206
            done = done if resumed else 0
            whole = done + answer.length if answer.length is not None else download.bytes
            with part.open("ab" if resumed else "wb") as file:
                while block := answer.read(CHUNK_BYTES):
                    file.write(block)
                    done += len(block)
                    progress(done)
        if whole is not None and done < whole:
            raise TraceError(f"{url}: broke off at {done:,} of {whole:,} bytes; the same command goes on from there")
    except urllib.error.HTTPError as error:
        if error.code != ALREADY_WHOLE or not done:
            raise TraceError(f"{url}: the server answers {error.code} {error.reason}") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise TraceError(
            f"{url}: cannot be reached ({reason}); {done:,} bytes are kept, and the same command goes on from there"
        ) from None


def _check(download: Download, part: Path) -> None:
    if download.sha256 is None:
        return
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != download.sha256:
        part.unlink()
        raise TraceError(f"{download.url}: found SHA-256 {digest}; published: {download.sha256}. Nothing was kept")
