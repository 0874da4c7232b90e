"""Settings say all that is wrong at once, and their template reads back as the defaults."""

import pytest
from pydantic import Field

from tomocore.contract import InputError
from tomocore.settings import Settings, load_settings, settings_template


class Inner(Settings):
    """An inner part."""

    radius_nm: float = Field(5.0, gt=0, description="radius of the ball (nm)")
    rule: str = Field('a "b"', description="a rule")


class Outer(Settings):
    count: int = Field(3, ge=1, description="how many")
    names: tuple[str, ...] = Field(("a", "b"), description="names")
    limit: float | None = Field(None, description="a limit, if any")
    inner: Inner = Inner()


def test_template_holds_every_default_and_reads_back(tmp_path):
    text = settings_template(Outer)
    path = tmp_path / "s.toml"
    path.write_text(text)
    assert load_settings(Outer, path) == Outer()
    assert "radius of the ball (nm)" in text
    assert "[inner]" in text


def test_file_then_overrides(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("count = 4\n[inner]\nradius_nm = 7\n")
    settings = load_settings(Outer, path, {"inner.radius_nm": 8.0, "count": None})
    assert (settings.count, settings.inner.radius_nm) == (4, 8.0)


def test_all_errors_at_once_with_the_known_names(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("count = 0\n[inner]\nradius_nm = -1\nradious = 3\n")
    with pytest.raises(InputError) as refusal:
        load_settings(Outer, path)
    message = str(refusal.value)
    assert "count" in message
    assert "inner.radius_nm" in message
    assert "unknown setting 'inner.radious'; known here: radius_nm, rule" in message
    assert "\n" not in message


def test_many_errors_are_told_within_a_length_that_can_be_read(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("[inner]\n" + "\n".join(f"{'x' * 50}{n} = 1" for n in range(100)))
    with pytest.raises(InputError) as refusal:
        load_settings(Outer, path)
    message = str(refusal.value)
    assert message.count("known here: radius_nm, rule") == 1
    assert message.endswith("more")
    assert len(message) < 1300


@pytest.mark.parametrize("text", ["count = ", "\x00\xff"])
def test_a_file_that_is_no_toml(tmp_path, text):
    path = tmp_path / "s.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="not a TOML"):
        load_settings(Outer, path)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such settings file"):
        load_settings(Outer, tmp_path / "s.toml")


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(ValueError):
        Outer().count = 5


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_settings_of_windows_programs_are_read(tmp_path, encoding, ending):
    mark = "\ufeff" if encoding.endswith(("-le", "-be")) else ""
    text = f'{mark}count = 7{ending}# Å{ending}[inner]{ending}rule = "Müller"{ending}'
    (tmp_path / "s.toml").write_bytes(text.encode(encoding))
    settings = load_settings(Outer, tmp_path / "s.toml")
    assert (settings.count, settings.inner.rule) == (7, "Müller")
