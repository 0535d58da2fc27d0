"""The names of the files in a run's folder that several rooms use."""

CONFIG = "config.yaml"
METRICS = "metrics.json"
SCORES = "scores.parquet"
VALIDATION_SCORES = "validation.parquet"
PREDICTIONS = "predictions.csv"
REPORT = "report.html"  # written last: without it, the run was interrupted

BEST_CHECKPOINT = "best.ckpt"  # of the epoch with the best validation accuracy
LAST_CHECKPOINT = "last.ckpt"  # of the last saved step
PREVIOUS_CHECKPOINT = "previous.ckpt"  # what last.ckpt was before, in case that is damaged
