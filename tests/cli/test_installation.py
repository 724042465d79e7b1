"""The command that installs an extra the way vidbg was installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidbg.platform import installation
from vidbg.platform.installation import install_command


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Fake an installation outside any checkout, with these records as the package's metadata."""
    records: dict[str, str] = {}
    monkeypatch.setattr(installation, "_CHECKOUT", tmp_path)
    monkeypatch.setattr(installation, "_recorded", lambda file: records.get(file, ""))
    return records


def test_from_an_index(installed: dict[str, str]) -> None:
    assert install_command("web") == "pip install 'vidbg[web]'"
    assert install_command("", "--force-reinstall") == "pip install --force-reinstall vidbg"
    installed["INSTALLER"] = "uv\n"
    assert install_command("web") == "uv pip install 'vidbg[web]'"


def test_from_a_folder(
    installed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed["direct_url.json"] = json.dumps({"url": tmp_path.as_uri(), "dir_info": {}})
    assert install_command("web") == f"pip install '{tmp_path}[web]'"
    monkeypatch.chdir(tmp_path)
    assert install_command("web") == "pip install '.[web]'"
    installed["direct_url.json"] = json.dumps(
        {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    )
    assert install_command("web") == "pip install -e '.[web]'"


def test_from_a_repository_or_an_archive(installed: dict[str, str]) -> None:
    address = "https://example.com/vidbg.git"
    installed["direct_url.json"] = json.dumps({"url": address, "vcs_info": {"vcs": "git"}})
    assert install_command("web") == f"pip install 'vidbg[web] @ git+{address}'"
    wheel = "file:///tmp/vidbg-0.1.0-py3-none-any.whl"
    installed["direct_url.json"] = json.dumps({"url": wheel, "archive_info": {}})
    assert install_command("web") == f"pip install 'vidbg[web] @ {wheel}'"


def test_a_record_that_cannot_be_read_is_left_out(installed: dict[str, str]) -> None:
    for text in ("nonsense", "[]"):
        installed["direct_url.json"] = text
        assert install_command("web") == "pip install 'vidbg[web]'"


def test_from_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(installation.__file__).parents[2])
    assert "'.[web]'" in install_command("web")
