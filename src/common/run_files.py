"""The names of the files in a run's folder that several rooms use."""

CONFIG = "config.yaml"
METRICS = "metrics.json"
SCORES = "scores.parquet"
VALIDATION_SCORES = "validation.parquet"
PREDICTIONS = "predictions.csv"
ANSWERS = "predictions.json"
ANSWERS_PAGE = "predictions.html"
DELIVERIES = "deliveries.csv"
CLAIMS = "claims.json"  # of the files that predictions are of
AUDIT = "audit.json"
AUDIT_PAGE = "audit.html"
AUDIT_TRAITS = "audit.csv"
AUDIT_DUPLICATES = "duplicates.csv"
UNREADABLE = "unreadable.csv"
NOT_FINITE = "not_finite_logits.csv"  # of images without a score, for which a run ends
SCORE_LOG_SUFFIX = ".scores.jsonl"  # of what a run has scored before it ends
REPORT = "report.html"  # written last: without it, the run was interrupted

BEST_CHECKPOINT = "best.ckpt"  # of the epoch with the best validation accuracy
LAST_CHECKPOINT = "last.ckpt"  # of the last saved step
PREVIOUS_CHECKPOINT = "previous.ckpt"  # what last.ckpt was before, in case that is damaged

# What the same command continues from, as patterns.
RESUMABLE = (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT, f"*{SCORE_LOG_SUFFIX}")
