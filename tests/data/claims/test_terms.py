from __future__ import annotations

import json

import pytest

from genspot.common import claims
from genspot.data.claims import terms
from helpers.claims import GENERATED, PARAMETERS

GRAPH = json.dumps({"nodes": [], "seed": 3})


@pytest.mark.parametrize(
    ("key", "text", "kind"),
    [
        ("parameters", PARAMETERS, claims.GENERATED),
        ("parameters", "alpha=0.5, beta=2", claims.OTHER),
        ("prompt", "{}", claims.GENERATED),
        ("workflow", '{"a": 1}', claims.GENERATED),
        ("workflow", "scan, crop, print", claims.OTHER),
        ("Comment", GRAPH, claims.GENERATED),
        ("Comment", '{"seed": 3}', claims.OTHER),
        ("Software", "NovelAI", claims.GENERATED),
        ("Software", "GIMP 2.10", claims.OTHER),
        ("Title", "Midjourney by night", claims.OTHER),
        ("Comment", "{" * 100_000, claims.OTHER),
        ("Comment", "[" * 100_000, claims.OTHER),
    ],
)
def test_text_kind_of_known_fields_is_generated(key: str, text: str, kind: str) -> None:
    assert terms.text_kind(key, text) == kind


@pytest.mark.parametrize(
    ("term", "kind"),
    [
        (GENERATED, claims.GENERATED),
        ("trainedAlgorithmicMedia", claims.GENERATED),
        (GENERATED.replace("trained", "compositeWithTrained").replace("http", "https"), "partly"),
        ("http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture/", claims.CAMERA),
        ("algorithmicMedia", claims.OTHER),
        ("compositedWithTrainedAlgorithmicMedia", claims.OTHER),
        ("", claims.OTHER),
    ],
)
def test_source_type_kind_is_that_of_the_last_part(term: str, kind: str) -> None:
    assert terms.source_type_kind(term) == (claims.PARTLY if kind == "partly" else kind)


@pytest.mark.parametrize("name", ["Adobe Firefly", "DALL·E 3", "dall-e", "Stable Diffusion XL"])
def test_names_generator_of_known_names_is_true(name: str) -> None:
    assert terms.names_generator(name)


@pytest.mark.parametrize("name", ["Adobe Photoshop 25.0", "dalliance", "Canon EOS R5", ""])
def test_names_generator_of_other_programs_is_false(name: str) -> None:
    assert not terms.names_generator(name)
