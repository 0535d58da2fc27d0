"""How an audit was made, in words."""

from __future__ import annotations

from genspot.evaluation import duplicates, folds, overlaps, shortcuts
from genspot.report.audit.findings import Audit
from genspot.report.sections.words import Table


def paragraphs(audit: Audit) -> list[str]:
    """Return how the judgements are made."""
    return [
        "Traits. For each trait of the files a small classifier (a forest of extremely randomised "
        f"trees) learns to tell real from fake on {folds.FOLDS - 1} fifths of the images and "
        "scores the others, in turn. It sees nothing but a few numbers on the file, such as its "
        "width or its JPEG quality. AP (average precision) says how well the fakes are ranked "
        "above the real images by these scores: 100 if each of them is above each real image, "
        "the percentage of fakes (the chance level) if the trait tells nothing. Images that "
        "belong together stay in one part: those with one name in one class, such as a photo "
        "and its translation, copies, and, where the set is known to have many images of each "
        "photograph, these. Where several of one class belong together, the interval is over "
        "such groups.",
        f"Judgements. Decisive: the lower end of the interval of the AP is at least "
        f"{shortcuts.DECISIVE:.0%} of the way from chance to 100. Slight: it is above chance. "
        f"None: it is not. The intervals hold for all traits of a set together, with "
        f"{audit.confidence:.0%} confidence, so that a set without any difference has a slight "
        f"one in at most {1 - audit.confidence:.0%} of all audits. With fewer than "
        f"{shortcuts.MIN_GROUPS} different images of a class nothing is judged.",
        "Content. Colour, sharpness and the size of the file also depend on what the pictures "
        "show and on the generator itself. A difference there is shown with its judgement, but "
        "alone it makes no set unfit: it may be the very trace that a detector should find. It is "
        "a fault where one class was processed in another way.",
        "Duplicates. Equal files and equal pixels are known by a digest (128 bits). Near "
        "duplicates have perceptual hashes (64 bits, of the lowest frequencies of the image) that "
        f"differ in at most {duplicates.MAX_BITS} bits, and small copies that correlate by "
        f"{duplicates.MIN_CORRELATION} or more. Where they have one size and small copies with a "
        f"mean difference of at most {duplicates.MAX_DIFFERENCE:g} grey levels, they differ only "
        "in compression. A real image and a fake that are near duplicates show one scene: a photo "
        "and its translation, for example. That is no fault.",
    ]


def limits(audit: Audit) -> list[str]:
    """Return what the audit does not show."""
    texts = [
        "“None” means that these traits do not tell the classes apart on these images. "
        "Other differences remain possible, such as other subjects, and with few images also "
        "these.",
        "Images of one scene, video or camera that differ in their names and are no copies count "
        "as independent. If all of them have one label, colour and sharpness may seem to tell "
        "the classes apart where only the scenes differ.",
        "A classifier that learns on a few hundred images finds less than a detector that trains "
        "on many thousands.",
        "Near duplicates are not found if they are flipped, rotated, cropped by more than a "
        "little, or much changed in brightness; so are fakes of one scene that a generator "
        "changes much.",
    ]
    if audit.pairs.flat:
        texts.append(
            f"{audit.pairs.flat:,} images are nearly uniform: of these only equal pixels count."
        )
    if not audit.pairs.complete:
        texts.append(
            f"The search ended at {duplicates.MAX_PAIRS:,} near duplicates: there are more, and "
            "all numbers of near duplicates are too low."
        )
    unreadable = sum(one.unreadable for one in audit.sets)
    if unreadable:
        texts.append(
            f"{unreadable:,} files could not be read or were left out; unreadable.csv names them."
        )
    return texts


def rules() -> Table:
    """Return the rules by which overlaps are judged."""
    rows = []
    for name, rule in overlaps.RULES.items():
        slight, decisive = (
            "never" if limit == overlaps.NEVER else f"more than {limit:.0%}" if limit else "any"
            for limit in (rule.slight, rule.decisive)
        )
        rows.append([name, rule.counted, slight, decisive])
    heading = ["overlap", "share of the set's", "slight", "decisive"]
    return Table("The share above which duplicates are slight, and decisive.", heading, rows)


def facts(audit: Audit) -> list[tuple[str, str]]:
    """Return how the audit was run."""
    return [
        (name, str(value)) for name, value in audit.facts.items() if isinstance(value, str | int)
    ]
