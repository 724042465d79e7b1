"""Fetch and build what the virtual machine needs: `python -m vm.prepare`, in the folder tests.

Tools come from this machine's own Debian. The kernel and the sources of v4l2loopback are fetched by
an apt configuration of their own, so that neither is installed here, and unpacked in the cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from vm.cache import KERNEL_SUITE, SUITES, VERSIONS, Cache

TOOLS = (
    "qemu-system-x86",
    "busybox-static",
    "v4l-utils",
    "ffmpeg",
    "gcc-12",  # what Debian 12 built its kernel with
    "make",
    "libc6-dev",
)
MIRROR = "http://deb.debian.org/debian"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def main() -> None:
    cache = Cache.usual()
    cache.root.mkdir(parents=True, exist_ok=True)
    try:
        install_tools()
        if not all(cache.is_ready(version) for version in VERSIONS):
            fetch_and_build(cache)
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        sys.exit(f"vm: `{command}` exited {error.returncode}\n{error.stderr or ''}")
    _say(f"kernel {cache.kernel}, v4l2loopback {' and '.join(VERSIONS)} in {cache.root}")


def install_tools() -> None:
    missing = [tool for tool in TOOLS if not _installed(tool)]
    if missing:
        _say(f"installing {' '.join(missing)}")
        root = [] if os.geteuid() == 0 else ["sudo"]
        _run(*root, "apt-get", "-qq", "update")
        _run(*root, "apt-get", "-qq", "-y", "--no-install-recommends", "install", *missing)


def _installed(package: str) -> bool:
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout == "installed"


def fetch_and_build(cache: Cache) -> None:
    apt = Apt(cache.root / "apt")
    apt.update()
    if not cache.kernel_file.exists():
        fetch_kernel(apt, cache)
    for version in VERSIONS:
        if not cache.loopback(version).exists():
            build_loopback(apt, cache, version)
    apt.remove()


def fetch_kernel(apt: Apt, cache: Cache) -> None:
    image = apt.first_dependency(f"linux-image-amd64/{KERNEL_SUITE}")
    kernel = image.removeprefix("linux-image-")
    headers = f"linux-headers-{kernel}"
    _say(f"fetching kernel {kernel}")
    shutil.rmtree(cache.system, ignore_errors=True)
    needed = [name for name in apt.dependencies(headers) if "kbuild" in name or "common" in name]
    apt.unpack([image, headers, *needed], cache.system)
    makefile = cache.system / "usr/src" / headers / "Makefile"
    absolute = makefile.read_text()  # it includes the common headers by their installed path
    makefile.write_text(absolute.replace(" /usr/src/", f" {cache.system}/usr/src/"))
    cache.kernel_file.write_text(kernel + "\n")


def build_loopback(apt: Apt, cache: Cache, version: str) -> None:
    _say(f"building v4l2loopback {version}")
    module = cache.loopback(version)
    unpacked = module.parent / "package"
    shutil.rmtree(module.parent, ignore_errors=True)
    apt.unpack([f"v4l2loopback-dkms/{SUITES[version]}"], unpacked)
    (source,) = (unpacked / "usr/src").glob("v4l2loopback-*")
    if source.name != f"v4l2loopback-{version}":
        sys.exit(f"vm: {SUITES[version]} has {source.name} by now, not {version}: see SUITES")
    _run("make", "--silent", "-C", cache.headers, f"M={source}", "modules")
    shutil.move(source / module.name, module)


class Apt:
    """Fetches packages of several Debian releases and leaves this machine's own apt alone.

    Args:
        folder: for its lists and downloads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        sources = folder / "sources.list"
        suites = sorted({KERNEL_SUITE, *SUITES.values()})
        lines = [f"deb [signed-by={KEYS}] {_mirror()} {suite} main\n" for suite in suites]
        sources.write_text("".join(lines))
        settings = {
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "/nonexistent",
            "Dir::State::lists": folder / "lists",
            "Dir::Cache": folder,
            "APT::Sandbox::User": "root",  # the cache may be in a home that _apt cannot enter
        }
        self._options = [f"-o{name}={value}" for name, value in settings.items()]

    def update(self) -> None:
        _run("apt-get", "-qq", *self._options, "update")

    def dependencies(self, package: str) -> list[str]:
        output = _run("apt-cache", *self._options, "depends", package)
        lines = (line.split() for line in output.splitlines())
        return [words[1] for words in lines if words[0] == "Depends:"]

    def first_dependency(self, package: str) -> str:
        return self.dependencies(package)[0]

    def unpack(self, packages: list[str], target: Path) -> None:
        """Download packages, given as NAME or NAME/RELEASE, and unpack them in a folder."""
        downloads = self._folder / "archives"
        _run("apt-get", "-qq", *self._options, "download", *packages, folder=downloads)
        for package in downloads.glob("*.deb"):
            target.mkdir(parents=True, exist_ok=True)
            _run("dpkg", "-x", package, target)
            package.unlink()

    def remove(self) -> None:
        """Remove the package lists, which take more room than what they were needed for."""
        shutil.rmtree(self._folder)


def _mirror() -> str:
    """Return the mirror that this machine uses, if it runs Debian."""
    output = _run("apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)")
    targets = (line.split(maxsplit=2) for line in output.splitlines())
    return next((uri for *origin, uri in targets if origin == ["Debian", "Debian"]), MIRROR)


def _run(*command: str | Path, folder: Path | None = None) -> str:
    """Run a command and return its standard output; errors are in the CalledProcessError."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def _say(text: str) -> None:
    print(f"vm: {text}", flush=True)  # noqa: T201  (a command)


if __name__ == "__main__":
    main()
