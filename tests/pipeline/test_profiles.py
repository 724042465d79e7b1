"""Profiles in the configuration file: read, written and applied, without other changes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from api_client import Served

from vidbg.compositing.backgrounds import PassthroughSpec

FILE = """\
# My settings
feather = 1.0  # soft
unknown-to-the-program = "kept"

[profile.meeting]
# for work
background = "blur:70"
fps = 25
mirror = true

[profile."after hours"]
background = "beach.png"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(FILE)
    (tmp_path / "beach.png").write_bytes(b"x")
    return file


@pytest.fixture
def served(file: Path) -> Iterator[Served]:
    with Served(config_file=file) as served:
        yield served


def test_they_are_listed_with_their_settings(served: Served, file: Path) -> None:
    meeting = {"background": "blur:70", "fps": 25, "mirror": True}
    assert served.client.get("/profiles") == [
        {"name": "meeting", "settings": meeting},
        {"name": "after hours", "settings": {"background": str(file.with_name("beach.png"))}},
    ]


def test_one_is_applied_over_the_file(served: Served) -> None:
    client = served.client
    client.send("PATCH", "/settings", {"light-wrap": 0.5, "offset": 4})
    status, state = client.send("POST", "/profiles/meeting/apply")
    assert status == 200
    changed = {key: state["settings"][key] for key in ("background", "mirror", "feather", "offset")}
    assert changed == {"background": "blur:70", "mirror": True, "feather": 1, "offset": 0}
    assert (state["profile"], state["settings"]["light-wrap"]) == ("meeting", 0)
    assert client.send("PATCH", "/settings", {"offset": 1})[1]["profile"] is None
    assert client.send("POST", "/profiles/meting/apply")[0] == 404


def test_the_settings_are_saved_and_the_rest_of_the_file_stays(served: Served, file: Path) -> None:
    client = served.client
    before = client.get("/state")["lists"]["profiles"]
    client.send("PATCH", "/settings", {"background": "#102030", "offset": 2})
    assert client.send("PUT", "/profiles/meeting")[0] == 200
    text = file.read_text()
    assert text.startswith('# My settings\nfeather = 1.0  # soft\nunknown-to-the-program = "kept"')
    assert "# for work" in text
    saved = tomllib.loads(text)["profile"]["meeting"]
    assert saved == {
        "background": "colour:#102030", "fps": 25, "mirror": False, "offset": 2, "feather": 0,
    }  # fmt: skip
    assert client.get("/state")["lists"]["profiles"] > before
    assert client.get("/state")["profile"] == "meeting"
    assert client.send("PUT", f"/profiles/{quote('zwei / три', safe='')}")[0] == 200
    assert "zwei / три" in tomllib.loads(file.read_text())["profile"]


def test_one_is_renamed_and_deleted(served: Served, file: Path) -> None:
    client = served.client
    assert client.send("POST", "/profiles/meeting/rename", {"name": "after hours"})[0] == 409
    assert client.send("POST", "/profiles/meeting/rename", {"name": "work"})[0] == 200
    assert client.send("DELETE", "/profiles/after%20hours")[0] == 200
    text = file.read_text()
    assert tomllib.loads(text)["profile"] == {
        "work": {"background": "blur:70", "fps": 25, "mirror": True}
    }
    assert "# for work" in text
    assert client.send("DELETE", "/profiles/meeting")[0] == 404
    assert client.send("POST", "/profiles/nobody/rename", {"name": "x"})[0] == 404


@pytest.mark.parametrize("name", [" ", "x" * 61, "a\nb", "\u202e\x07"])
def test_names_that_cannot_be_used(served: Served, file: Path, name: str) -> None:
    assert served.client.send("PUT", f"/profiles/{quote(name, safe='')}")[0] == 400
    assert served.client.send("POST", "/profiles/meeting/rename", {"name": name})[0] == 400
    assert file.read_text() == FILE


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("feather = ", "cannot be read"),
        ("profile = 5", "write [profile.NAME]"),
        ('[profile.x]\nbackground = "blur:900"', "blur strength"),
    ],
)
def test_a_broken_file_is_reported_and_not_changed(
    served: Served, file: Path, text: str, hint: str
) -> None:
    file.write_text(text)
    status, answer = served.client.send("GET", "/profiles")
    assert (status, hint in answer["error"]["message"]) == (409, True)
    if hint != "blur strength":
        assert served.client.send("PUT", "/profiles/x")[0] == 409
    assert served.client.send("POST", "/profiles/x/apply")[0] in (404, 409)
    assert file.read_text() == text


def test_a_profile_puts_no_room_on_air(served: Served, file: Path) -> None:
    file.write_text('[profile.bare]\nbackground = "none"')
    assert served.client.send("POST", "/profiles/bare/apply")[0] == 409
    assert not served.run.look.shows_room


def test_without_a_file_there_are_none_until_one_is_saved(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.toml"
    with Served(config_file=file) as served:
        assert served.client.get("/profiles") == []
        assert served.client.send("PUT", "/profiles/first")[0] == 200
        profile = tomllib.loads(file.read_text())["profile"]["first"]
        assert profile == {"background": "blur:40"}
    with Served() as served:
        assert served.client.send("PUT", "/profiles/first")[0] == 409


def test_a_run_of_the_room_is_saved_as_such(file: Path) -> None:
    with Served(background=PassthroughSpec(), config_file=file) as served:
        assert served.client.send("PUT", "/profiles/bare")[0] == 200
    assert tomllib.loads(file.read_text())["profile"]["bare"]["background"] == "none"
