"""data=sets: trainings on several sets together, some of which are held out."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from sklearn.metrics import average_precision_score

from genspot.common.errors import GenspotError
from genspot.data.splits import load_part
from genspot.tasks import composition, config
from genspot.tasks.training_sets import divide_sets
from helpers.images import save_image
from helpers.runs import read_logits, read_metrics
from helpers.settings import TINY
from helpers.tasks import composed, run_task

NAMES = ("sim_nearest", "sim_deconv3", "sim_shuffle")
CHOSEN = ("data=sets", f"generator=[{','.join(NAMES)}]")
PLACES = ("path", "train", "val")
YEARS = "data.years={sim_nearest: 1, sim_deconv3: 2, sim_shuffle: 3}"


@pytest.mark.parametrize(
    ("settings", "trained"),
    [
        ([], NAMES),
        (["data.hold_out=sim_nearest"], NAMES[1:]),
        (["data.hold_out=[sim_shuffle,sim_nearest]"], NAMES[1:2]),
        (["data.until=2026"], NAMES),
        (["data.until=2", YEARS], NAMES[:2]),
        (["data.until=2", YEARS, "data.hold_out=sim_nearest"], NAMES[1:2]),
        (["data.until=2", "data.hold_out=sim_shuffle", YEARS], NAMES[:2]),
    ],
)
def test_divide_sets_leaves_out_what_is_held_out_or_later(
    settings: list[str], trained: tuple[str, ...], tmp_path: Path
) -> None:
    with composed(*CHOSEN, *settings, folder=tmp_path) as cfg:
        config.check_settings(cfg)
        left_out = [name for name in NAMES if name not in trained]
        assert divide_sets(cfg) == ([*trained], left_out)
        assert [one.name for one in config.training_set(cfg).parts] == [*trained]
        assert [one.name for one in config.test_sets(cfg)] == [*NAMES]
        recorded = OmegaConf.create(config.config_text(cfg)).data
        assert (recorded.generator, recorded.hold_out) == ([*trained], left_out)
        assert cfg.data.generator is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.hold_out=sitd"], r"data\.hold_out=sitd: no such set is chosen; there are: sim_ne"),
        ([f"data.hold_out=[{','.join(NAMES)}]"], r"data\.hold_out=.* leave no set to train on"),
        (["data.until=0", YEARS], r"^data\.until=0 leave no set to train on"),
        (["data.until=2", "data.years={sitd: 1}"], r"data\.years: no such sets are chosen: sitd"),
        (
            ["data.until=2", "generator.sim_shuffle.year=null"],
            r"data\.until=2: no year is known of sim_shuffle; give it, data\.years=\{sim_shuffle:",
        ),
        (["data.until=soon"], r"data\.until=soon: give a whole number"),
        (["data.years={a: soon}"], r"data\.years=.*: give \{NAME: YEAR, …\}"),
        (["data.num_classes=2"], r"data=sets trains on all classes of image files"),
        (["generator.sim_shuffle.train=null"], r"generator\.sim_shuffle\.val needs "),
        (["task=pack"], r"data=sets cannot be packed"),
    ],
)
def test_training_on_sets_refuses_a_wrong_choice_in_one_line(
    settings: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(GenspotError, match=message) as error:
        run_task(*TINY, *CHOSEN, *settings, folder=tmp_path / "run")
    assert "\n" not in str(error.value)


def test_training_on_sets_without_sets_asks_for_them(tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match="data=sets needs the sets to train and test on"):
        run_task(*TINY, "data=sets", folder=tmp_path / "run")


def test_only_sets_without_training_images_of_their_own_are_divided(tmp_path: Path) -> None:
    chosen = ["generator=[sim_nearest,sitd]", "test_sets={mine: here}"]
    with composed("data=sets", *chosen, folder=tmp_path) as cfg:
        config.check_settings(cfg)
        divided = {one.name: (one.divided, one.by_class) for one in config.test_sets(cfg)}
    expected = {"sim_nearest": (False, True), "sitd": (True, False), "mine": (True, False)}
    assert divided == expected
    with composed("data=simulated", *chosen, folder=tmp_path) as cfg:
        config.check_settings(cfg)
        assert not any(one.divided for one in config.test_sets(cfg))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sets of 60 pairs of a real image and a fake of one name."""
    folder = tmp_path_factory.mktemp("sets")
    for number, name in enumerate("abc"):
        for index in range(60):
            seed = 1000 * number + index
            save_image(folder / name / "0_real" / f"{index}.png", seed, fake=False)
            save_image(folder / name / "1_fake" / f"{index}.png", seed + 500, fake=True)
    return folder


def sets_of(images: Path) -> str:
    return f"test_sets={{{', '.join(f'{name}: {images}/{name}' for name in 'abc')}}}"


@pytest.fixture(scope="module")
def run(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training on two of three sets."""
    settings = ["data=sets", sets_of(images), "data.hold_out=b"]
    return run_task(*TINY, *settings, folder=tmp_path_factory.mktemp("run"))


def test_train_on_sets_tests_all_and_trains_on_no_tested_image(run: Path, images: Path) -> None:
    metrics, scores = read_metrics(run), pq.read_table(run / "scores.parquet")
    assert list(metrics["generators"]) == ["a", "b", "c"]
    assert metrics["title"] == "best.ckpt, trained on sets without b"
    tested = set(scores["path"].to_pylist())
    validated = set(pq.read_table(run / "validation.parquet")["path"].to_pylist())
    assert tested and validated and not tested & validated
    assert not any(path.startswith(f"{images}/b/") for path in validated)
    trained = sum(metrics["training_images"].values())
    ab = [path for path in tested if not path.startswith(f"{images}/b/")]
    assert trained + len(validated) + len(ab) == 2 * 120
    assert not any("share images" in note for note in metrics["notes"])
    counts = ", ".join(f"{name} (6 real and 6 fake images)" for name in "abc")
    assert any(
        f"only the test part is scored, about a tenth: {counts}." in note
        for note in metrics["notes"]
    )
    assert (trained, len(validated), len(tested)) == (192, 24, 36)


def test_train_on_sets_keeps_the_means_of_seen_and_unseen_apart(run: Path) -> None:
    metrics, scores = read_metrics(run), pq.read_table(run / "scores.parquet").to_pandas()
    expected = {
        name: average_precision_score(part["label"], part["logit"])
        for name, part in scores.groupby("generator")
    }
    seen, unseen = metrics["means"]["seen"], metrics["means"]["unseen"]
    assert seen["ap"] == pytest.approx((expected["a"] + expected["c"]) / 2, abs=1e-6)
    assert unseen["ap"] == pytest.approx(expected["b"], abs=1e-6)
    assert unseen["ap_interval"] == metrics["generators"]["b"]["ap_interval"]
    assert (seen["generators"], unseen["generators"]) == (2, 1)
    text = (run / "results.md").read_text(encoding="utf-8")
    assert "| mean of seen (2 sets) |" in text and "| mean of unseen (1 set) |" in text


def test_test_of_a_training_on_sets_scores_the_same_part(
    run: Path, images: Path, tmp_path: Path
) -> None:
    settings = ["task=test", f"checkpoint={run}/best.ckpt", "workers=0", sets_of(images)]
    folder = run_task(*settings, *TINY[1:2], folder=tmp_path / "test")
    assert read_logits(folder) == read_logits(run)
    assert read_metrics(folder)["means"] == read_metrics(run)["means"]
    data = OmegaConf.load(folder / "config.yaml").data
    assert (data.name, data.generator, data.hold_out) == ("sets", ["a", "c"], ["b"])


def test_a_set_that_is_too_small_is_trained_on_as_the_message_says(
    images: Path, tmp_path: Path
) -> None:
    for index in range(2):
        save_image(tmp_path / "few" / "0_real" / f"{index}.png", index, fake=False)
        save_image(tmp_path / "few" / "1_fake" / f"{index}.png", index, fake=True)
    with pytest.raises(GenspotError, match=r"images in a file, as docs/testing\.md says") as error:
        chosen = [*TINY, "data=sets", f"test_sets={{mine: {tmp_path}/few, a: {images}/a}}"]
        run_task(*chosen, folder=tmp_path / "run")
    assert "or leave it out of the training: data.hold_out=[mine]" in str(error.value)
    (tmp_path / "own" / "generator").mkdir(parents=True)
    places = [f"{key}: {images}/{name}" for key, name in zip(PLACES, "abc", strict=True)]
    text = f"mine: {{{', '.join(places)}}}"
    (tmp_path / "own" / "generator" / "mine.yaml").write_text(text)
    chosen = ["data=sets", "generator=[mine]"]
    with composition.composed(*chosen, config_dir=tmp_path / "own") as cfg:
        config.check_settings(cfg)
        (one,) = config.training_set(cfg).parts
        for split, name in (("test", "a"), ("train", "b"), ("val", "c")):
            paths = load_part(one, split).table["path"].to_pylist()  # type: ignore[arg-type]
            assert len(paths) == 120 and all(
                path.startswith(f"{images}/{name}/") for path in paths
            )


def test_test_of_a_training_on_sets_asks_for_the_test_sets(run: Path, tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match="trained on sets: name the test sets"):
        run_task("task=test", f"checkpoint={run}/best.ckpt", folder=tmp_path / "test")


def test_train_on_sets_continues_on_the_same_images_alone(
    run: Path, images: Path, tmp_path: Path
) -> None:
    before = (run / "best.ckpt").stat().st_mtime_ns
    settings = [*TINY, "data=sets", sets_of(images)]
    run_task(*settings, "data.hold_out=[b]", folder=run)
    assert (run / "best.ckpt").stat().st_mtime_ns == before
    with pytest.raises(GenspotError, match=r"with other settings: data\.generator=\['a', 'c'\]"):
        run_task(*settings, "data.hold_out=c", folder=run)
