"""The script in the reference runs as it stands there, with the built-in engine and a real scan."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import pytest

from tests.support.api import serve

REFERENCE = Path(__file__).parents[2] / "docs/reference/api.md"


def write_scan(path: Path) -> None:
    """A disc beside the axis, as parallel rays see it: 91 angles, 8 rows, 64 columns."""
    angles = np.linspace(0, 180, 91)
    columns = np.arange(64) - 31.5
    centres = 10 * np.cos(np.radians(angles))[:, None]
    thickness = 2 * np.sqrt(np.clip(12.0**2 - (columns - centres) ** 2, 0, None))
    frames = 1000 * np.exp(-0.03 * np.repeat(thickness[:, None, :], 8, axis=1)) + 10
    flat, dark = np.full((5, 8, 64), 1010.0), np.full((5, 8, 64), 10.0)
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry1/tomo_entry")
        entry["data/data"] = np.concatenate([flat, frames, dark]).astype("uint16")
        entry["data/rotation_angle"] = np.concatenate([np.zeros(5), angles, np.zeros(5)])
        entry["instrument/detector/image_key"] = np.repeat([1, 0, 2], [5, 91, 5])


def test_the_script_in_the_reference_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    visit = tmp_path / "cm10001-1"
    for name in ("raw", "processing"):
        (visit / name).mkdir(parents=True)
    write_scan(visit / "raw" / "scan.nxs")
    compiled = REFERENCE.parents[2] / ".cache" / "numba-tests"
    compiled.mkdir(parents=True, exist_ok=True)
    with serve([tmp_path], changes={"NUMBA_CACHE_DIR": str(compiled)}) as api:
        client = httpx.Client

        def at_the_socket(**options: Any) -> httpx.Client:
            transport = httpx.HTTPTransport(uds=str(api.run / "api.sock"))
            # nginx takes the session's prefix away.
            assert options.pop("base_url").endswith("/user/ada/api/")
            return client(transport=transport, base_url="http://api/", **options)

        monkeypatch.setenv("TOKEN", "secret")
        monkeypatch.setattr(httpx, "Client", at_the_socket)
        exec(compile(script, str(REFERENCE), "exec"), {})
        printed = capsys.readouterr().out
        assert printed.startswith("completed"), printed + api.log.read_text()
    results = list((visit / "processing").glob("*_preview/*_processed.nxs"))
    assert len(results) == 1
    with h5py.File(results[0]) as file:
        slices = np.asarray(file["entry/final_result_tomo/data"])
    assert np.isfinite(slices).all()
    assert slices.max() > 0
