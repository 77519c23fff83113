"""Conditions: what the command line says, and what becomes of the audio."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from client.evaluation import effects, voices
from client.evaluation.conditions import ConditionError, parse_conditions
from client.evaluation.manifest import Entry
from client.evaluation.preparation import Preparation, check
from client.evaluation.recordings import RATE_HZ, read_samples, to_pcm
from tests.samples import FOLDER

SPEECH = read_samples(FOLDER / "command.flac")


@pytest.fixture
def preparation(tmp_path):
    """Three clips by two speakers, and a folder with two noises."""
    names = {"command.flac": "ann", "kitchen.flac": "ann", "question.flac": "bob"}
    entries = [Entry(f"x/{n}", FOLDER / n, "Words.", who, "x") for n, who in names.items()]
    random = np.random.default_rng(0)
    (tmp_path / "noises").mkdir()
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / "noises" / name, 0.1 * random.standard_normal(8_000), RATE_HZ)
    return Preparation(entries, seed=7)


SPECS = [
    "noise:{folder}:snr=5",
    "noise:{folder}/a.wav:snr=5",
    "babble:snr=10:voices=2",
    "pitch:3",
    "speed:1.2",
    "tempo:0.8",
    "gain:-6",
    "clip:12",
    "telephone",
    "reverb:0.4",
    "codec:mulaw",
    "codec:alaw",
    "codec:opus",
    "silence:1:after=2",
    "reverb:0.3+babble:snr=5+telephone+codec:mulaw+gain:3",
]


@pytest.mark.parametrize("spec", SPECS)
def test_the_same_seed_makes_the_same_bytes(spec, preparation, tmp_path):
    """A condition changes the audio, the same way each time, to the length that it says."""
    (condition,) = parse_conditions([spec.format(folder=tmp_path / "noises")])
    check([condition], preparation.entries)
    entry = preparation.entries[0]
    pcm = preparation.pcm(entry, condition)
    assert pcm == Preparation(preparation.entries, seed=7).pcm(entry, condition)
    assert pcm != to_pcm(SPEECH)
    assert len(pcm) / 2 == pytest.approx(
        condition.duration_s(len(SPEECH) / RATE_HZ) * RATE_HZ, abs=2
    )


@pytest.mark.parametrize("spec", ["noise:{folder}:snr=5", "babble:snr=10:voices=2", "reverb:0.4"])
def test_another_seed_makes_other_bytes(spec, preparation, tmp_path):
    """Where chance has a part, the seed chooses it."""
    (condition,) = parse_conditions([spec.format(folder=tmp_path / "noises")])
    entry = preparation.entries[0]
    other = Preparation(preparation.entries, seed=8)
    assert preparation.pcm(entry, condition) != other.pcm(entry, condition)


def test_clean_audio_is_not_touched(preparation):
    """Clean is the recording to the bit."""
    (clean,) = parse_conditions([])
    pcm = preparation.pcm(preparation.entries[0], clean)
    integers, _ = soundfile.read(FOLDER / "command.flac", dtype="int16")
    if soundfile.info(FOLDER / "command.flac").samplerate == RATE_HZ:
        assert pcm == integers.astype("<i2").tobytes()


@given(st.floats(-20, 40), st.floats(0.001, 1), st.floats(0.001, 1), st.integers(0, 99))
def test_noise_is_mixed_at_its_ratio(snr_db, speech_level, noise_level, seed):
    """Whatever the levels, the ratio is right within 0.1 dB and nothing is clipped."""
    random = np.random.default_rng(seed)
    speech = (speech_level * random.uniform(-1, 1, 4_000)).astype(np.float32)
    noise = (noise_level * random.uniform(-1, 1, 4_000)).astype(np.float32)
    mix = effects.mixed(speech, noise, snr_db)
    parts, *_ = np.linalg.lstsq(
        np.stack([speech, noise], 1).astype(float), mix.astype(float), rcond=None
    )
    found_db = 20 * np.log10(parts[0] * effects.rms(speech) / (parts[1] * effects.rms(noise)))
    assert found_db == pytest.approx(snr_db, abs=0.1)
    assert np.max(np.abs(mix)) <= 1


def test_the_same_noise_is_heard_at_another_ratio(preparation, tmp_path):
    """Only the loudness differs between two ratios, so that a curve compares like with like."""
    spec = f"noise:{tmp_path / 'noises'}:snr=20,0"
    quiet, loud = (
        np.frombuffer(preparation.pcm(preparation.entries[0], condition), "<i2").astype(float)
        for condition in parse_conditions([spec])
    )
    clean = np.frombuffer(to_pcm(SPEECH), "<i2").astype(float)
    assert np.corrcoef(quiet - clean, loud - clean)[0, 1] > 0.99


def pitch_hz(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * RATE_HZ / len(samples)


@settings(max_examples=15)
@given(st.floats(-7, 7), st.floats(150, 500))
def test_pitch_moves_the_pitch_and_keeps_the_duration(semitones, tone_hz):
    """A tone is so many semitones higher, and as long as before."""
    tone = (0.5 * np.sin(2 * np.pi * tone_hz * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
    moved = voices.at_pitch(tone, semitones)
    assert len(moved) == len(tone)
    assert 12 * np.log2(pitch_hz(moved) / tone_hz) == pytest.approx(semitones, abs=0.35)


@settings(max_examples=15)
@given(st.floats(0.5, 2), st.floats(150, 500))
def test_tempo_keeps_the_pitch_and_speed_does_not(factor, tone_hz):
    """Both change the duration; only speed changes the pitch."""
    tone = (0.5 * np.sin(2 * np.pi * tone_hz * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
    slow, tape = voices.at_tempo(tone, factor), voices.at_speed(tone, factor)
    assert len(slow) == pytest.approx(RATE_HZ / factor, abs=1)
    assert len(tape) == pytest.approx(RATE_HZ / factor, abs=2)
    assert pitch_hz(slow) == pytest.approx(tone_hz, rel=0.02)
    assert pitch_hz(tape) == pytest.approx(tone_hz * factor, rel=0.02)


def test_a_telephone_passes_its_band_alone():
    """1 kHz goes through, 100 Hz and 5 kHz do not."""
    seconds = np.arange(RATE_HZ) / RATE_HZ

    def loudness(tone_hz):
        tone = (0.5 * np.sin(2 * np.pi * tone_hz * seconds)).astype(np.float32)
        return effects.rms(effects.telephone(tone)) / effects.rms(tone)

    assert loudness(1_000) == pytest.approx(1, abs=0.02)
    assert loudness(100) < 0.03
    assert loudness(5_000) < 0.03


def test_a_room_fades_by_60_db_in_its_time():
    """The energy after the reverberation time is a millionth of all, give or take."""
    click = np.zeros(RATE_HZ, np.float32)
    click[0] = 0.5
    room = effects.reverberated(click, 0.5, 0, np.random.default_rng(0)).astype(float)
    energy = np.cumsum(room[::-1] ** 2)[::-1]
    quarter = np.searchsorted(-energy, -energy[50] * 10**-3)
    assert quarter / RATE_HZ == pytest.approx(0.25, abs=0.05)


def test_conditions_repeat_combine_and_list_values():
    """Repeated options and listed values are conditions of their own, a plus joins steps."""
    found = parse_conditions(
        ["clean", "noise:my+noises:a.wav:snr=10,0+telephone", "clean", "pitch:semitones=-2"]
    )
    assert [condition.label for condition in found] == [
        "clean",
        "noise:my+noises:a.wav:snr=10+telephone",
        "noise:my+noises:a.wav:snr=0+telephone",
        "pitch:semitones=-2",
    ]
    assert found[1].signal_to_noise == ("noise:my+noises:a.wav+telephone", 10)
    assert found[0].signal_to_noise is None


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("echo:1", "there is no condition 'echo'"),
        ("noise:a.wav", "lacks snr"),
        ("noise:snr=10", "noise:PATH:snr=DB"),
        ("pitch:high", "'high'"),
        ("speed:9", "outside of 0.5 to 2"),
        ("telephone:8", "a value too many"),
        ("codec:mp3", "codec:mulaw|alaw|opus"),
        ("clean+telephone", "clean stands alone"),
    ],
)
def test_nonsense_is_refused_with_what_would_be_right(spec, said):
    """A wrong condition is explained before anything is streamed."""
    with pytest.raises(ConditionError) as caught:
        parse_conditions([spec])
    assert said in str(caught.value)


def test_two_files_of_one_name_are_refused():
    """Reports name noises by their file; two of the same name could not be told apart."""
    with pytest.raises(ConditionError):
        parse_conditions(["noise:a/x.wav:snr=1", "noise:b/x.wav:snr=1"])


def test_a_noise_that_is_not_there_is_found_before_the_run(preparation, tmp_path):
    """Missing noises, empty folders, and a crowd of nobody are explained."""
    (tmp_path / "empty").mkdir()
    for spec in (f"noise:{tmp_path}/none.wav:snr=1", f"noise:{tmp_path}/empty:snr=1"):
        with pytest.raises(ConditionError):
            check(parse_conditions([spec]), preparation.entries)
    with pytest.raises(ConditionError):
        check(parse_conditions(["babble:snr=1"]), preparation.entries[:1])
