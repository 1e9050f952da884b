"""What to cite for the methods, in Savu's four fields."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True)
class Citation:
    """One publication, and what it is cited for."""

    citation: str
    """Title and authors, as a heading."""
    description: str
    doi: str
    endnote: str
    bibtex: str

    def mapping(self) -> dict[str, str]:
        """As in a catalogue."""
        return asdict(self)


def _article(
    key: str,
    *,
    title: str,
    authors: tuple[str, ...],
    journal: str,
    volume: int,
    number: int,
    pages: tuple[int, int],
    year: int,
    doi: str,
    use: str,
) -> Citation:
    """A journal's article; ``authors`` as ``Family, Given``."""
    bibtex = "\n".join(
        (
            f"@article{{{key},",
            f"  title={{{title}}},",
            f"  author={{{' and '.join(authors)}}},",
            f"  journal={{{journal}}},",
            f"  volume={{{volume}}},",
            f"  number={{{number}}},",
            f"  pages={{{pages[0]}--{pages[1]}}},",
            f"  year={{{year}}},",
            f"  doi={{{doi}}}",
            "}",
        )
    )
    endnote = "\n".join(
        (
            "%0 Journal Article",
            f"%T {title}",
            *(f"%A {author}" for author in authors),
            f"%J {journal}",
            f"%V {volume}",
            f"%N {number}",
            f"%P {pages[0]}-{pages[1]}",
            f"%D {year}",
            f"%R {doi}",
        )
    )
    return Citation(f"{title} by {authors[0]} et al.", use, doi, endnote, bibtex)


RING_REMOVAL: Final = _article(
    "vo2018superior",
    title="Superior techniques for eliminating ring artifacts in X-ray micro-tomography",
    authors=("Vo, Nghia T", "Atwood, Robert C", "Drakopoulos, Michael"),
    journal="Optics Express",
    volume=26,
    number=22,
    pages=(28396, 28412),
    year=2018,
    doi="10.1364/OE.26.028396",
    use="Ring artefacts were removed by the methods of this article.",
)

CENTRING: Final = _article(
    "vo2014reliable",
    title=("Reliable method for calculating the center of rotation in parallel-beam tomography"),
    authors=("Vo, Nghia T", "Drakopoulos, Michael", "Atwood, Robert C", "Reinhard, Christina"),
    journal="Optics Express",
    volume=22,
    number=16,
    pages=(19078, 19086),
    year=2014,
    doi="10.1364/OE.22.019078",
    use="The centre of rotation was found by the method of this article.",
)

ALGOTOM: Final = _article(
    "vo2021data",
    title=(
        "Data processing methods and data acquisition for samples larger than the field of view "
        "in parallel-beam tomography"
    ),
    authors=(
        "Vo, Nghia T",
        "Atwood, Robert C",
        "Drakopoulos, Michael",
        "Connolley, Thomas",
    ),
    journal="Optics Express",
    volume=29,
    number=12,
    pages=(17849, 17874),
    year=2021,
    doi="10.1364/OE.418448",
    use="The computations were done by Algotom, the software of this article.",
)

SCIKIT_IMAGE: Final = Citation(
    "scikit-image: image processing in Python by van der Walt, Stéfan et al.",
    "The reconstruction was computed by scikit-image.",
    "10.7717/peerj.453",
    "\n".join(
        (
            "%0 Journal Article",
            "%T scikit-image: image processing in Python",
            "%A van der Walt, Stéfan",
            "%A Schönberger, Johannes L",
            "%A Nunez-Iglesias, Juan",
            "%A Boulogne, François",
            "%A Warner, Joshua D",
            "%A Yager, Neil",
            "%A Gouillart, Emmanuelle",
            "%A Yu, Tony",
            "%J PeerJ",
            "%V 2",
            "%P e453",
            "%D 2014",
            "%R 10.7717/peerj.453",
        )
    ),
    "\n".join(
        (
            "@article{scikit-image,",
            "  title={scikit-image: image processing in {P}ython},",
            "  author={van der Walt, Stéfan and Schönberger, Johannes L and Nunez-Iglesias, Juan "
            "and Boulogne, François and Warner, Joshua D and Yager, Neil and Gouillart, Emmanuelle "
            "and Yu, Tony},",
            "  journal={PeerJ},",
            "  volume={2},",
            "  pages={e453},",
            "  year={2014},",
            "  doi={10.7717/peerj.453}",
            "}",
        )
    ),
)

BACK_PROJECTION: Final = Citation(
    "Principles of computerized tomographic imaging by Kak, Avinash C et al.",
    "The filtered back-projection follows this book.",
    "10.1137/1.9780898719277",
    "\n".join(
        (
            "%0 Book",
            "%T Principles of Computerized Tomographic Imaging",
            "%A Kak, Avinash C",
            "%A Slaney, Malcolm",
            "%I Society for Industrial and Applied Mathematics",
            "%D 2001",
            "%R 10.1137/1.9780898719277",
        )
    ),
    "\n".join(
        (
            "@book{kak2001principles,",
            "  title={Principles of Computerized Tomographic Imaging},",
            "  author={Kak, Avinash C and Slaney, Malcolm},",
            "  publisher={Society for Industrial and Applied Mathematics},",
            "  year={2001},",
            "  doi={10.1137/1.9780898719277}",
            "}",
        )
    ),
)
