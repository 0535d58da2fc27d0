"""The schema of a test's results: the columns of scores.parquet and the keys of metrics.json.

Every figure is a fraction in [0, 1] unless its description says otherwise. Labels are 0 for real
and 1 for fake; a higher logit means more likely fake.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, get_args, get_origin, get_type_hints

from typing_extensions import TypedDict  # until Python 3.12, pydantic takes no other

from genspot.evaluation.calibration_results import Calibration, CalibrationFit

# Column of scores.parquet → type in Arrow's terms, values, meaning.
SCORE_COLUMNS = {
    "path": ("large_string", "UTF-8", "path of the image file"),
    "generator": ("string", "a name", "the test set: the generator of its fakes"),
    "class": ("string", "a name or empty", "class of the image, such as a category"),
    "label": ("int8", "0 or 1", "0 real, 1 fake"),
    "logit": ("float32", "finite", "the detector's output; above 0 means fake"),
    "padded": ("bool", "", "whether the image was padded with zeros, being smaller than the crop"),
}

OK, REALS_ONLY, FAKES_ONLY, EMPTY = "ok", "reals only", "fakes only", "empty"  # states of a set

Figure = float | None
Interval = list[float] | None

# None where a figure is not defined, such as `ap` of images of one class only.
Measures = TypedDict(
    "Measures",
    {
        "ap": Annotated[Figure, "average precision, of all classes of the generator pooled"],
        "acc": Annotated[Figure, "accuracy at probability 0.5, that is at logit 0"],
        "acc_real": Annotated[Figure, "accuracy at probability 0.5 on the real images"],
        "acc_fake": Annotated[Figure, "accuracy at probability 0.5 on the fake images"],
        "auroc": Annotated[Figure, "area under the ROC curve"],
        "acc_val_threshold": Annotated[Figure, "accuracy at the threshold of `fit`"],
        "acc_oracle": Annotated[Figure, "highest accuracy of any threshold: an upper bound"],
        "tpr_at_fpr_0.01": Annotated[Figure, "highest true-positive rate at an FPR ≤ 0.01"],
        "tpr_at_fpr_0.05": Annotated[Figure, "highest true-positive rate at an FPR ≤ 0.05"],
        "ece": Annotated[Figure, "expected calibration error of P(fake), 15 bins"],
        "ece_calibrated": Annotated[Figure, "the same with the temperature of `fit`"],
        "brier": NotRequired[Annotated[Figure, "Brier score of P(fake): mean squared error"]],
        "log_loss": NotRequired[Annotated[Figure, "mean negative log likelihood, in nats"]],
    },
)
MEASURES = tuple(Measures.__annotations__)


class PublishedReference(TypedDict):
    """What was published for the same training set, augmentation and crop."""

    ap: Annotated[float, "average precision"]
    acc: Annotated[Figure, "accuracy at probability 0.5; null where it was not published"]
    unconfirmed: Annotated[bool, "whether the figure was found in one source only"]


class BaselineFigures(TypedDict):
    """What one row of a published table (conf/baseline/) gives for a generator."""

    name: Annotated[str, "name of the publication, that of its file"]
    title: Annotated[str, "of the publication, for readers"]
    row: Annotated[str, "row of the publication's table"]
    source: Annotated[str, "where the figures stand"]
    link: Annotated[str, "to the publication"]
    rerun: Annotated[bool, "whether others than the detector's authors measured them"]
    aug: Annotated[str | None, "augmentation of the training; null: the source does not say"]
    ap: Annotated[Figure, "average precision; null where it was not published"]
    acc: Annotated[Figure, "accuracy at probability 0.5; null where it was not published"]
    unconfirmed: Annotated[bool, "whether the figures were found in one source only"]


class GeneratorMetrics(Measures):
    """The figures of one generator: `Measures`, and these."""

    status: Annotated[str, f'"{OK}", "{REALS_ONLY}", "{FAKES_ONLY}" or "{EMPTY}"']
    images: Annotated[int, "number of scored images"]
    real: Annotated[int, "number of scored real images"]
    fake: Annotated[int, "number of scored fake images"]
    ap_interval: Annotated[list[float] | None, "confidence interval [lowest, highest] of `ap`"]
    clusters: NotRequired[
        Annotated[int | None, "number of photographs that intervals are over; null: over images"]
    ]
    fpr: NotRequired[Annotated[Figure, "false-positive rate: share of reals with a logit above 0"]]
    fpr_interval: NotRequired[Annotated[Interval, "its interval"]]
    tpr: NotRequired[Annotated[Figure, "true-positive rate: share of fakes with a logit above 0"]]
    tpr_interval: NotRequired[Annotated[Interval, "its interval"]]
    fpr_val_threshold: NotRequired[Annotated[Figure, "`fpr` at the threshold of `fit`"]]
    fpr_val_threshold_interval: NotRequired[Annotated[Interval, "its interval"]]
    tpr_val_threshold: NotRequired[Annotated[Figure, "`tpr` at the threshold of `fit`"]]
    tpr_val_threshold_interval: NotRequired[Annotated[Interval, "its interval"]]
    title: NotRequired[Annotated[str, "the generator's name in full"]]
    published: NotRequired[
        Annotated[PublishedReference | None, "the first of `baselines` that is no re-run, or null"]
    ]
    baselines: NotRequired[
        Annotated[list[BaselineFigures], "published for such a detector and test; may be empty"]
    ]
    expected: NotRequired[Annotated[int | None, "number of images in a complete copy"]]
    padded: NotRequired[Annotated[int, "number of scored images smaller than the crop"]]
    unreadable: NotRequired[
        Annotated[int, "number of images that could not be read, and of what was left out"]
    ]
    left_out: NotRequired[
        Annotated[int, "of these, files that are no images, and folders that cannot be listed"]
    ]
    shortcut_baseline_ap: NotRequired[Annotated[Figure, "AP of the shortcut baseline"]]


class MeanMetrics(Measures):
    """Means over the generators with images of both classes, each generator counting once."""

    generators: Annotated[int, "number of generators with images of both classes"]
    images: Annotated[int, "number of their scored images"]
    ap_interval: Annotated[list[float] | None, "interval [lowest, highest] of the mean AP"]
    published: NotRequired[
        Annotated[PublishedReference | None, "the first of `baselines` that is no re-run, or null"]
    ]
    baselines: NotRequired[
        Annotated[list[BaselineFigures], "means of the rows that have figures of all generators"]
    ]
    shortcut_baseline_ap: NotRequired[Annotated[Figure, "mean of the generators' figures"]]


class Evaluation(TypedDict):
    """What is computed from a table of scores alone (`genspot.evaluate`)."""

    generators: Annotated[dict[str, GeneratorMetrics], "figures by generator"]
    mean: Annotated[MeanMetrics, "their means"]


class TrainedOn(TypedDict):
    """What the checkpoint was trained on, as the checkpoint states it."""

    data: Annotated[str, "name of the training set"]
    num_classes: Annotated[int | None, "number of classes drawn from it; null: all"]
    aug: Annotated[str | None, "name of the augmentation; null: unknown"]
    study: Annotated[str | None, "name of the study (experiments/)"]
    seed: Annotated[int | None, "seed of the training; null: unknown"]
    model: Annotated[dict[str, Any], "settings: name, input, backbone, train, test, trainable"]
    protocol: NotRequired[Annotated[str, "what was done to every image; missing: nothing"]]
    changed: NotRequired[
        Annotated[
            list[str],
            "settings that made it another training than data, aug and model are by their names, "
            "such as model.weights of a fine-tuning; missing: none",
        ]
    ]


class NetworkCost(TypedDict):
    """What scoring one image costs the network, without the reading of the image."""

    parameters: Annotated[int, "number of parameters, frozen ones included"]
    gflop: Annotated[
        Figure,
        "10⁹ multiplications with their additions, of convolutions and matrix products, for one "
        "image; null: not enough memory",
    ]
    images_per_second: Annotated[
        Figure, "images of this size scored a second, in batches; null: not enough memory"
    ]
    device: Annotated[str, "of the speed: the type of PyTorch's device, such as cpu or cuda"]
    height: Annotated[int, "of the image in pixels; whole images: as in training"]
    width: Annotated[int, "the same"]


class ValidationFigures(TypedDict):
    """What the training logged of its validation images, in its own geometry."""

    ap: Annotated[float, "average precision"]
    acc: Annotated[float, "accuracy at probability 0.5"]
    loss: Annotated[Figure, "mean loss, in nats; null: not finite"]


class Results(Evaluation):
    """The content of metrics.json."""

    title: Annotated[str, "heading of the report"]
    checkpoint: Annotated[str, "path of the tested checkpoint"]
    trained_on: Annotated[TrainedOn, "what the checkpoint was trained on"]
    crop: Annotated[int | None, "side in pixels of the central crop; null: whole images"]
    degradations: Annotated[list[str], "applied to the test images, in this order"]
    protocol: NotRequired[
        Annotated[str, "what was done to every image after it was decoded, before `degradations`"]
    ]
    network: NotRequired[Annotated[NetworkCost, "what scoring an image costs"]]
    seed: Annotated[int, "seed of this run"]
    confidence: Annotated[float, "of the intervals: how often they hold the AP of the population"]
    versions: Annotated[dict[str, str], "versions of Python and of the packages used"]
    commit: Annotated[str | None, "git commit; + marks local changes; null: unknown"]
    unreadable_in_training: Annotated[int, "number of unreadable training and validation images"]
    training_images: Annotated[
        dict[str, int] | None, "number of real and of fake training images; null: not trained here"
    ]
    validation: NotRequired[
        Annotated[
            ValidationFigures | None,
            "of the tested checkpoint, in its training; null: not trained here, or not recorded",
        ]
    ]
    fit: Annotated[CalibrationFit | None, "null: no validation scores of both classes"]
    calibration: NotRequired[
        Annotated[Calibration | None, "null: fewer than two generators have both classes"]
    ]
    real_sets: Annotated[dict[str, str], "generator → the set of real images that it shares"]
    means: NotRequired[
        Annotated[
            dict[str, MeanMetrics],
            '"seen" and "unseen": means over the generators that the detector was trained on, and '
            "over others; empty unless both are known to be there",
        ]
    ]
    clusters: Annotated[
        dict[str, str],
        "generator → the column of scores.parquet that names the photograph of an image",
    ]
    notes: Annotated[list[str], "what a reader must know of the images, such as shared folders"]


MEAN_ROWS = {"mean": "mean", "seen": "mean of seen", "unseen": "mean of unseen"}


def result_rows(results: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return (name, figures) of each generator of an `Evaluation`, then of its means.

    The last are those of `MEAN_ROWS`: the mean, and those of `Results.means` that there are.
    """
    means = {"mean": results["mean"], **(results.get("means") or {})}
    return [
        *results["generators"].items(),
        *((row, means[key]) for key, row in MEAN_ROWS.items() if key in means),
    ]


def describe_keys(schema: type) -> dict[str, tuple[str, str]]:
    """Return key → (type, meaning) of one of the dictionaries above, for the documentation."""
    described = {}
    for key, hint in get_type_hints(schema, include_extras=True).items():
        if get_origin(hint) is NotRequired:
            (hint,) = get_args(hint)
        value_type, meaning = get_args(hint)
        type_name = re.sub(r"[\w.]+\.", "", inspect.formatannotation(value_type))
        described[key] = (type_name.replace("None", "null"), meaning)
    return described
