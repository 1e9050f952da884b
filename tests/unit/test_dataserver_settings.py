"""What the data server reads from its environment."""

import os
import subprocess
import sys

import pytest
from savu_dataserver.hdf5.environment import cleaned
from savu_dataserver.settings import ConfigurationError, Settings, from_environment

GOOD = {
    "DATASERVER_LISTEN": "unix:/run/dataserver.sock",
    "DATA_ROOTS": "/dls/i12:/tmp/",
    "DATASERVER_MAX_BYTES": "1000",
}


def test_all_settings_are_read():
    assert from_environment(GOOD) == Settings(
        "unix:/run/dataserver.sock", ("/dls/i12", "/tmp"), 1000
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATASERVER_LISTEN", ""),
        ("DATASERVER_LISTEN", "8080"),
        ("DATASERVER_LISTEN", "unix:relative"),
        ("DATASERVER_LISTEN", "localhost:70000"),
        ("DATA_ROOTS", ""),
        ("DATA_ROOTS", ":"),
        ("DATA_ROOTS", "/dls:relative"),
        ("DATASERVER_MAX_BYTES", "64M"),
        ("DATASERVER_MAX_BYTES", "0"),
    ],
)
def test_a_wrong_setting_is_named(name, value):
    with pytest.raises(ConfigurationError, match=name):
        from_environment(GOOD | {name: value})


def test_a_configuration_error_ends_the_program_with_78_and_one_line():
    ended = subprocess.run(
        [sys.executable, "-m", "savu_dataserver"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 78
    assert ended.stderr.count("\n") == 1
    assert "DATASERVER_LISTEN" in ended.stderr


def test_none_of_the_users_hdf5_variables_reaches_the_library():
    given = {
        "HDF5_PLUGIN_PATH": "/home/eve/plugins",
        "HDF5_EXT_PREFIX": "/etc",
        "HDF5_VDS_PREFIX": "/etc",
        "HDF5_VOL_CONNECTOR": "evil",
        "HOME": "/home/ada",
    }
    kept = cleaned(given)
    assert kept["HOME"] == "/home/ada"
    assert not set(given) - {"HOME"} & set(kept)
    assert kept["HDF5_PLUGIN_PRELOAD"] == "::"
