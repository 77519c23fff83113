"""Settings from options, environment and TOML."""

from __future__ import annotations

import pytest

from service.options import SettingsError, load_settings
from service.settings import Settings


def test_the_defaults_serve_whisper_on_loopback():
    """Without any setting the bundled model is served where only this machine reaches it."""
    settings = load_settings([])
    assert settings.model == ["whisper"]
    assert settings.listen == "127.0.0.1:50051"


def test_options_go_before_environment_before_file(tmp_path, monkeypatch):
    """Each setting is taken from the first place that names it."""
    path = tmp_path / "asr.toml"
    path.write_text('listen = "a:1"\nlog_level = "error"\nmax_streams = 7\n')
    monkeypatch.setenv("ASR_LOG_LEVEL", "warning")
    monkeypatch.setenv("ASR_LISTEN", "b:2")
    settings = load_settings(["--config", str(path), "--listen", "localhost:3"])
    assert (settings.listen, settings.log_level, settings.max_streams) == (
        "localhost:3",
        "warning",
        7,
    )


def test_models_may_be_tables(tmp_path):
    """A model's options stand in its TOML table as well as in its spec."""
    path = tmp_path / "asr.toml"
    path.write_text('model = ["whisper", {spec = "scripted", name = "load", delay_ms = 20}]\n')
    settings = load_settings(["--config", str(path)])
    assert settings.model == ["whisper", "scripted?name=load&delay_ms=20"]


def test_every_bad_setting_is_named_at_once(tmp_path):
    """One error lists all that is wrong, so that nobody mends them one by one."""
    path = tmp_path / "asr.toml"
    path.write_text('max_streams = 0\nlog_level = "loud"\ncolour = "red"\nmodel = [{}]\n')
    with pytest.raises(SettingsError) as refusal:
        load_settings(["--config", str(path), "--listen", "nowhere"])
    for name in ("max_streams", "log_level", "colour", "model.0", "listen"):
        assert f"{name}:" in str(refusal.value)


@pytest.mark.parametrize(("content", "cause"), [(None, "cannot be read"), ("[", "not valid TOML")])
def test_a_bad_file_is_named(tmp_path, content, cause):
    """A settings file that is missing or broken is one sentence."""
    path = tmp_path / "asr.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=cause):
        load_settings(["--config", str(path)])


def test_help_tells_every_setting_with_its_default(capsys, monkeypatch):
    """--help names each option, its default and the exit codes."""
    # Without line breaks.
    monkeypatch.setenv("COLUMNS", "100000")
    with pytest.raises(SystemExit):
        load_settings(["--help"])
    text = capsys.readouterr().out
    for name, field in Settings.model_fields.items():
        assert "--" + name.replace("_", "-") in text
        told = text.split(f"{field.description} (default: ", 1)[1].partition(")")[0]
        if isinstance(field.default, bool):
            assert told == str(field.default).lower()
        elif isinstance(field.default, int | float):
            assert float(told) == field.default
        else:
            assert told == (" ".join(field.default) if name == "model" else field.default or "none")
    assert "Exit status" in text


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["--listen", "0.0.0.0:1"], "--insecure-listen"),
        (["--listen", "[::]:1"], "--insecure-listen"),
        (["--listen", "asr.example:1"], "--insecure-listen"),
        (["--tls-cert", "a.pem"], "belong together"),
        (["--tls-key", "a.pem"], "belong together"),
        (["--tls-client-ca", "a.pem"], "give --tls-cert"),
        (["--jwt-keys", "a.pem"], "--jwt-audience"),
        (["--admin-listen", "0.0.0.0:1"], "listen on 127.0.0.1"),
    ],
)
def test_listening_in_plain_text_beyond_this_machine_is_said_aloud(arguments, cause):
    """Nobody serves without encryption to a network by accident, or with half of it."""
    with pytest.raises(SettingsError, match=cause):
        load_settings(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--listen", "0.0.0.0:1", "--insecure-listen"],
        ["--listen", "0.0.0.0:1", "--insecure-listen", "true"],
        ["--listen", "0.0.0.0:1", "--tls-cert", "a.pem", "--tls-key", "b.pem"],
        ["--listen", "127.9.9.9:1"],
        ["--listen", "[::1]:1"],
        ["--listen", "localhost:1"],
        ["--health-listen", "0.0.0.0:1"],
    ],
)
def test_what_is_safe_or_said_aloud_is_taken(arguments):
    """Loopback, encryption and the explicit flag; health alone tells strangers nothing."""
    assert load_settings(arguments)


def test_a_flag_is_on_by_its_name_alone():
    """Switches may stand alone, and can be turned off."""
    assert load_settings([]).reflection
    assert not load_settings(["--reflection", "false"]).reflection
    assert load_settings(["--insecure-listen"]).insecure_listen
