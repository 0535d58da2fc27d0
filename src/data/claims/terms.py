"""The words in metadata that say where an image comes from."""

from __future__ import annotations

import json
import re

from genspot.common import claims

# IPTC NewsCodes "Digital Source Type" (cv.iptc.org/newscodes/digitalsourcetype, 2024-09): the end
# of a term's address → its kind. Retired terms are still in files.
SOURCE_TYPES = {
    "trainedAlgorithmicMedia": claims.GENERATED,
    "compositeWithTrainedAlgorithmicMedia": claims.PARTLY,
    "compositeSynthetic": claims.PARTLY,
    "digitalCapture": claims.CAMERA,
    "computationalCapture": claims.CAMERA,
    "compositeCapture": claims.EDITED,
    "composite": claims.EDITED,
    "algorithmicallyEnhanced": claims.EDITED,
    "humanEdits": claims.EDITED,
    "minorHumanEdits": claims.EDITED,
}

# Keys of PNG text that generators alone write: InvokeAI, Fooocus, and the prompt of ComfyUI.
GENERATOR_KEYS = frozenset(
    ("dream", "fooocus_scheme", "invokeai_graph", "invokeai_metadata", "prompt", "sd-metadata")
)

# Names that programs and services write as Software, CreatorTool, Credit or agent of an action.
GENERATOR_NAMES = re.compile(
    r"midjourney|stable.?diffusion|dall[-·. ]?e\b|novelai|invokeai|comfyui|fooocus|firefly"
    r"|made with google ai|bing image creator|ideogram|openai|chatgpt",
    re.IGNORECASE,
)

# The settings that the web interface of AUTOMATIC1111 writes, and those of ComfyUI in EXIF.
PARAMETERS = re.compile(r"\bSteps: \d+, [^\n]{0,300}?\b(?:Sampler|CFG scale|Seed): ")
GRAPH = re.compile(r"\s*(?:prompt|workflow):\s*\{", re.IGNORECASE)
SETTINGS = {"prompt", "steps", "sampler", "nodes", "base_model", "seed"}  # keys of JSON


def source_type_kind(term: str) -> str:
    """Return the kind of a digital source type, IPTC's address or its end; OTHER if unknown."""
    return SOURCE_TYPES.get(term.rstrip("/").rpartition("/")[2].strip(), claims.OTHER)


def names_generator(text: str) -> bool:
    """Return whether the name of a program or service is that of a generator known here."""
    return GENERATOR_NAMES.search(text) is not None


def has_parameters(text: str) -> bool:
    """Return whether `text` has the form of the settings of a generator.

    Those are a line of settings, or JSON of which two or more keys are settings.
    """
    if PARAMETERS.search(text) or GRAPH.match(text):
        return True
    if not text.lstrip().startswith("{"):
        return False
    try:
        return len(SETTINGS & json.loads(text).keys()) > 1
    except (ValueError, RecursionError):
        return False


def text_kind(key: str, text: str) -> str:
    """Return the kind of a PNG text field."""
    key = key.lower()
    if key in GENERATOR_KEYS or has_parameters(text):
        return claims.GENERATED
    if key == "workflow" and text.lstrip().startswith("{"):
        return claims.GENERATED
    return program_kind(text) if key in ("software", "source") else claims.OTHER


def program_kind(text: str) -> str:
    """Return the kind of a field that names a program: GENERATED or OTHER."""
    return claims.GENERATED if names_generator(text) else claims.OTHER
