"""What every test shares: no path to a real AWS account, and a browser that may be missing only outside CI."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures import pinned
from hypothesis import settings

from kit.cli import main

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


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Hold a test marked `pinned` to all that it found before."""
    if not pinned.is_pinned(pyfuncitem):
        return (yield)
    with pinned.making() as made:
        done = yield
    pinned.hold(pyfuncitem, made)
    return done


def pytest_sessionfinish() -> None:
    """Write what was to be pinned anew."""
    pinned.draw()


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this working copy."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (built,) = folder.glob("trailkit-*.whl")
    return built


@pytest.fixture(scope="session")
def installed_bin(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a virtual environment in which the wheel is installed; its dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", wheel], check=True, capture_output=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    # only a path: nothing that is installed there as editable is found through it
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the test is skipped, but under TRAILKIT_CI it fails."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("TRAILKIT_CI"):
        pytest.fail("no Chromium on this machine: apt-get install chromium")
    pytest.skip("no Chromium on this machine: apt-get install chromium")


@pytest.fixture(scope="module")
def opened(chromium: str) -> Iterator[Callable[..., Any]]:
    """Opens a page as given, and returns it with whatever it said or asked for, as `heard`.

    Of a module and not of the session: an event loop runs as long as the browser does, and no other test expects one.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        browser = tool.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )

        def open_page(path: Path, width: int = 1440, scheme: str = "light", *, script: bool = True) -> Any:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
            )
            page = context.new_page()
            page.heard = []
            page.on("console", lambda message: page.heard.append(message.text))
            page.on("pageerror", lambda error: page.heard.append(str(error)))
            page.on("request", lambda request: page.heard.append(request.url))
            page.goto(path.as_uri())
            return page

        yield open_page
        browser.close()


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Calls the command in this process, in an empty folder, and returns its status, output and errors."""
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def called(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trailkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main.main()
        return (int(left.value.code or 0), *capsys.readouterr())

    yield called
    signal.signal(signal.SIGTERM, before)
