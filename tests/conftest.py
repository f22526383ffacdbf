"""What every test shares: no path to a real AWS account, and a browser that may be missing only outside CI."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("kit", deadline=None, derandomize=True)
settings.load_profile("kit")

# Whatever the machine is configured for, no test may reach an account of its owner. Set for the whole process, since
# fixtures of any scope, kernels and child processes inherit it.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(
    AWS_CONFIG_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    MPLBACKEND="agg",
)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the test is skipped, but under TRAILKIT_CI it fails."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("TRAILKIT_CI"):
        pytest.fail("no Chromium on this machine: apt-get install chromium")
    pytest.skip("no Chromium on this machine: apt-get install chromium")
