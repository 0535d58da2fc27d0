from __future__ import annotations

from xml.parsers import expat

import pytest

from genspot.common import claims
from genspot.common.claims import Claim
from genspot.data.claims import fields
from helpers.claims import GENERATED, PARAMETERS, make_exif, make_xmp


def test_exif_claims_names_the_camera_the_program_and_the_date() -> None:
    exif = make_exif({0x9003: "2024:05:06 07:08:09"}, x10F="NIKON", x110="D850", x131="GIMP")
    found = list(fields.exif_claims(exif))
    assert found == [
        Claim(claims.CAMERA, "EXIF", "Make", "NIKON"),
        Claim(claims.CAMERA, "EXIF", "Model", "D850"),
        Claim(claims.OTHER, "EXIF", "Software", "GIMP"),
        Claim(claims.OTHER, "EXIF", "DateTimeOriginal", "2024:05:06 07:08:09"),
    ]


@pytest.mark.parametrize(
    "comment",
    [
        b"ASCII\0\0\0" + PARAMETERS.encode(),
        b"UNICODE\0" + PARAMETERS.encode("utf-16-be"),
        b"UNICODE\0" + PARAMETERS.encode("utf-16-le"),
        b"UNICODE\0" + PARAMETERS.encode("utf-16"),
        b"\0\0\0\0\0\0\0\0" + PARAMETERS.encode(),
        PARAMETERS.encode(),
    ],
)
def test_exif_claims_of_parameters_in_a_comment_is_generated(comment: bytes) -> None:
    (found,) = fields.exif_claims(make_exif({0x9286: comment}))
    assert found == Claim(claims.GENERATED, "EXIF", "UserComment", " ".join(PARAMETERS.split()))


def test_exif_claims_of_a_graph_as_the_camera_is_generated() -> None:
    (found,) = fields.exif_claims(make_exif(x10F='workflow:{"nodes": []}'))
    assert (found.kind, found.field) == (claims.GENERATED, "Make")


@pytest.mark.parametrize(
    ("properties", "more"),
    [
        (f'ext:DigitalSourceType="{GENERATED}"', ""),
        ("", f"<ext:DigitalSourceType>\n {GENERATED}</ext:DigitalSourceType>"),
        ("", f'<ext:DigitalSourceType rdf:resource="{GENERATED}"/>'),
        (
            "",
            f"<ext:DigitalSourceType><rdf:Bag><rdf:li>{GENERATED}</rdf:li></rdf:Bag></ext:DigitalSourceType>",
        ),
    ],
)
def test_xmp_claims_of_a_source_type_is_read_in_any_form(properties: str, more: str) -> None:
    found = list(fields.xmp_claims(make_xmp(properties, more)))
    assert found == [Claim(claims.GENERATED, "XMP", "DigitalSourceType", GENERATED)]


def test_xmp_claims_reads_programs_and_credits_apart() -> None:
    more = "<ps:Credit>Made with Google AI</ps:Credit><ps:Other>x</ps:Other><xmp:CreatorTool>GIMP"
    found = list(fields.xmp_claims(make_xmp("", more + "</xmp:CreatorTool>")))
    assert found == [
        Claim(claims.GENERATED, "XMP", "Credit", "Made with Google AI"),
        Claim(claims.OTHER, "XMP", "CreatorTool", "GIMP"),
    ]


def test_xmp_claims_of_torn_xml_yields_what_came_first() -> None:
    found = fields.xmp_claims(make_xmp('xmp:CreatorTool="GIMP"')[:-20])
    assert next(found).value == "GIMP"
    with pytest.raises(expat.ExpatError):
        next(found)


def test_xmp_claims_of_entities_that_expand_is_refused() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    xmp = make_xmp("", "<xmp:CreatorTool>&b;</xmp:CreatorTool>", before=bomb)
    with pytest.raises(ValueError, match="document type"):
        list(fields.xmp_claims(xmp))


def test_clean_makes_one_printable_line_of_limited_length() -> None:
    assert fields.clean("a\0b\n\tc\x1b[2J\u202e") == r"a b c\x1b[2J\u202e"
    assert len(fields.clean("é" * 10**6)) == fields.MAX_VALUE + 1


def test_text_claims_are_limited_in_number() -> None:
    assert len(list(fields.text_claims([("a", "b")] * 1000))) == fields.MAX_FIELDS
