"""Lines of keys: of tables, arrays of tables, dotted and quoted keys."""

from __future__ import annotations

import pytest

from simlora.errors import ConfigError
from simlora.study.document import read_document

TEXT = """\
a = 1  # first
"b c".d = 2
[t]
x = [
  1,
]
[[s]]
name = "one"
[s.inner]
y = 1
[[s]]
name = "two"
[s.inner]
y = 2
z.'k=l' = { y = 3 }
"""


@pytest.fixture
def document(tmp_path):
    (tmp_path / "f.toml").write_text(TEXT)
    return read_document(tmp_path / "f.toml")


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("a",), 1),
        (("b c", "d"), 2),
        (("t",), 3),
        (("t", "x"), 4),
        (("t", "x", 0), 4),
        (("s", 0), 7),
        (("s", 0, "name"), 8),
        (("s", 0, "inner", "y"), 10),
        (("s", 1), 11),
        (("s", 1, "name"), 12),
        (("s", 1, "inner"), 13),
        (("s", 1, "inner", "y"), 14),
        (("s", 1, "inner", "z", "k=l"), 15),
        (("s", 1, "inner", "z", "k=l", "y"), 15),
        (("s", 1, "missing"), 11),
    ],
)
def test_each_key_has_its_line(document, key, line):
    assert document.where(key) == f"{document.path}:{line}"


def test_a_key_that_is_nowhere_has_the_file(document):
    assert document.where(("nowhere",)) == str(document.path)


def test_errors_get_the_place(document):
    with pytest.raises(ConfigError, match=r"f\.toml:8: no such thing"), document.at("s", 0, "name"):
        raise ConfigError("no such thing")


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("a = 1\nb = \n", [":2: ", "not a TOML file", "'b ='"]),
        ("a = 1\na = 2\n", [":2: ", "not a TOML file"]),
        ("a = [1,\n2", [":2: ", "not a TOML file"]),
    ],
)
def test_syntax_errors_have_their_line(tmp_path, text, fragments):
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(ConfigError) as found:
        read_document(tmp_path / "f.toml")
    for fragment in fragments:
        assert fragment in str(found.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [("experimnt.toml", 'did you mean "experiment.toml"'), (".", "directory; in it: experiment.toml$")],
)
def test_files_that_are_none(tmp_path, name, says):
    (tmp_path / "experiment.toml").write_text("")
    with pytest.raises(ConfigError, match=says):
        read_document(tmp_path / name)
    (tmp_path / "g.toml").write_bytes(b"a = '\xff'\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_document(tmp_path / "g.toml")
