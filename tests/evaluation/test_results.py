"""The documented schema against what is computed."""

from __future__ import annotations

import pytest

from genspot.evaluation import baselines, calibration_results, published, results
from genspot.evaluation.metrics import evaluate
from helpers.scores import make_scores


def test_schema_has_exactly_the_keys_that_are_computed() -> None:
    scores = make_scores([("a", "", "1.png", 0, -1.0), ("a", "", "2.png", 1, 1.0)])
    scores = scores.append_column("padded", [[False, True]])
    metrics = dict(evaluate(scores))
    spec = {"title": "A", "images": 2, "key": "a"}
    published.annotate(metrics, {"a": spec}, scores, scores.slice(2), scores.slice(2), [])
    baselines.add_shortcut_baseline(metrics, scores, None)
    assert set(metrics) == set(results.describe_keys(results.Evaluation))
    assert set(metrics["generators"]["a"]) == set(results.describe_keys(results.GeneratorMetrics))
    assert set(metrics["mean"]) == set(results.describe_keys(results.MeanMetrics))
    assert set(scores.column_names) == set(results.SCORE_COLUMNS)


@pytest.mark.parametrize(
    "name",
    [
        *("Results", "TrainedOn", "PublishedReference", "BaselineFigures", "CalibrationFit"),
        *("Calibration", "CalibrationMeans", "PooledFit", "LeftOut", "ProbabilityFigures"),
    ],
)
def test_schema_states_type_and_meaning_of_every_key(name: str) -> None:
    schema = getattr(results, name, None) or getattr(calibration_results, name)
    described = results.describe_keys(schema)
    assert described.keys() == schema.__required_keys__ | schema.__optional_keys__
    for type_name, meaning in described.values():
        assert meaning and "NotRequired" not in type_name and "typing" not in type_name
