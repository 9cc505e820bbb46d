"""What is known of genera by their names: colours, field marks, look-alikes and sources.

A checkpoint may know any names, and nothing outside this file knows what a name means. Of a name that is not here
``about`` tells no more than where to read of it.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

OTHER_FUNGUS = "other"
"""Stands for any other fungus, where its genus has no name."""


@dataclass(frozen=True)
class Genus:
    """What is told of a genus. ``colour`` is its CSS colour, the rest are sentences.

    ``description``, ``field_marks`` and ``look_alikes`` are empty for a name that nothing is known of.
    """

    name: str
    colour: str
    description: str
    field_marks: tuple[str, ...]
    look_alikes: tuple[str, ...]
    rank: str = "genus"

    @property
    def sources(self) -> tuple[str, ...]:
        """Markdown links to where a name, in any script, can be read of: Wikipedia and GBIF."""
        title, name, rank = (
            quote(text, safe="") for text in (self.name.replace(" ", "_"), self.name, self.rank.upper())
        )
        return (
            f"[Wikipedia](https://en.wikipedia.org/wiki/{title})",
            f"[GBIF](https://www.gbif.org/species/search?q={name}&rank={rank})",
        )


# The colours are the nine of Paul Tol's "muted" scheme, https://sronpersonalpages.nl/~pault: they stay apart for
# colour-blind readers.
NINE: tuple[Genus, ...] = (
    Genus(
        "Agaricus",
        "#332288",
        "Stout mushrooms of meadows, gardens and woods, with free gills that turn from pink to dark chocolate.",
        (
            "Gills pink when young, chocolate brown when old, and never joined to the stem.",
            "A ring on the stem; no sac around its base.",
            "Spore print dark brown.",
            "Some stain yellow when rubbed and smell of ink or hospital: these make people ill.",
        ),
        (
            "Death caps and destroying angels (*Amanita*) when young: their gills stay white and a sac hides in the "
            "ground. They are deadly.",
            "White dapperlings (*Lepiota*, *Leucoagaricus*): white spores; some are deadly.",
            "Poisonous *Entoloma* species: pink spores and no ring.",
        ),
    ),
    Genus(
        "Amanita",
        "#88CCEE",
        "Tall, graceful mushrooms that grow out of an egg-like veil and keep its remains as warts, ring and sac.",
        (
            "Warts or patches on the cap, left over from the veil; rain may wash them off.",
            "A bulb or a sac at the very base of the stem: dig it out, do not cut.",
            "White gills that do not touch the stem, or hardly; spore print white.",
            "Often a skirt-like ring high on the stem.",
        ),
        (
            "*Agaricus*: the same shape, but its gills turn pink and then brown.",
            "*Russula*: white gills too, but a brittle stem without ring or sac.",
            "Within the genus itself: the deadly death cap (*A. phalloides*) and destroying angel (*A. virosa*) stand "
            "beside relatives that only an expert tells from them.",
        ),
    ),
    Genus(
        "Boletus",
        "#44AA99",
        "Massive mushrooms with a sponge of fine tubes instead of gills, on a thick stem with a net on it.",
        (
            "Tubes with small pores under the cap, white at first, then yellow to olive.",
            "A thick, often bulging stem, with a raised net near its top.",
            "Cap dry and bun-shaped, brown in the best-known species.",
            "Spore print olive brown.",
        ),
        (
            "The bitter bolete (*Tylopilus felleus*): pinkish pores and a coarse dark net.",
            "The devil's bolete (*Rubroboletus satanas*) and its kin: red pores, flesh that turns blue; poisonous.",
            "*Suillus*: a slimy cap, and often a ring.",
        ),
    ),
    Genus(
        "Cortinarius",
        "#117733",
        "The largest genus of gilled mushrooms: rusty spores, and a cobweb between cap and stem when young.",
        (
            "A cobweb-like veil (cortina) from cap edge to stem when young; later rusty threads on the stem.",
            "Gills of many colours when young, rust brown in the end.",
            "Spore print rust brown.",
            "Colours from ochre and cinnamon to violet.",
        ),
        (
            "The deadly webcaps (*C. rubellus*, *C. orellanus*) are in this genus: they destroy the kidneys, days or "
            "weeks after the meal.",
            "The funeral bell (*Galerina marginata*): smaller, on wood, ringed and deadly.",
            "Fibrecaps (*Inocybe*): dull brown spores, fibrous caps; many are poisonous.",
        ),
    ),
    Genus(
        "Entoloma",
        "#999933",
        "Mushrooms with pink, angular spores; many are small and grey or brown, some bright blue.",
        (
            "Gills pale at first, then salmon pink from the spores, and joined to the stem.",
            "Spore print pink to salmon.",
            "No ring and no sac.",
            "Often silky, streaky stems and a mealy smell.",
        ),
        (
            "The livid pinkgill (*E. sinuatum*) is in this genus, is poisonous, and is easily taken for others.",
            "Shields (*Pluteus*): pink spores too, but free gills, and on wood.",
            "*Agaricus*: pink gills when young, but with a ring and brown spores.",
        ),
    ),
    Genus(
        "Hygrocybe",
        "#DDCC77",
        "Waxcaps: small, brilliantly red, orange, yellow or green mushrooms of old unfertilised grassland.",
        (
            "Thick, widely spaced gills that look and feel waxy.",
            "Bright caps, often slimy or moist; some blacken where bruised.",
            "Spore print white.",
            "Grows in mossy, poor grassland, in America also in woods.",
        ),
        (
            "Red webcaps (*Cortinarius*, section *Dermocybe*): rusty spores and a cobweb; some are deadly.",
            "Chanterelles (*Cantharellus*) and the poisonous jack-o'-lanterns (*Omphalotus*): ridges or gills that "
            "run far down the stem.",
            "Poisonous small *Entoloma* and *Inocybe* species in the same meadows.",
        ),
    ),
    Genus(
        "Lactarius",
        "#CC6677",
        "Milkcaps: where the gills are cut, a milk comes out, white, orange or changing its colour.",
        (
            "Milk from cut gills or flesh; its colour, and how it changes, tell the species.",
            "Brittle stem that snaps like chalk.",
            "Cap often funnel-shaped, with rings of colour, its edge rolled in when young.",
            "Gills joined to the stem or running down it.",
        ),
        (
            "*Russula*: just as brittle, but without milk.",
            "The woolly milkcap (*L. torminosus*) and other acrid milkcaps of this genus upset the stomach.",
            "Clitocybes (*Clitocybe*): funnel-shaped and fibrous, without milk; some are poisonous.",
        ),
    ),
    Genus(
        "Russula",
        "#882255",
        "Brittlegills: caps in every colour over white to ochre gills that break like flaked almonds.",
        (
            "Stem that snaps like chalk, without fibres, ring or sac.",
            "Gills brittle, white to ochre, mostly all of one length.",
            "Cap red, purple, green, yellow or white; its skin peels from the edge.",
            "No milk where it is cut.",
        ),
        (
            "*Lactarius*: the same build, with milk.",
            "The death cap (*Amanita phalloides*, deadly) beside green Russulas: look for the ring, and for the sac in "
            "the ground.",
            "The sickener (*R. emetica*) is in this genus and earns its name.",
        ),
    ),
    Genus(
        "Suillus",
        "#AA4499",
        "Slippery jacks: boletes with a slimy cap that live with pines and larches.",
        (
            "Slimy, peelable cap, yellow to chocolate brown.",
            "Yellowish tubes with pores, often angular and radiating from the stem.",
            "Often a ring, or glandular dots on the stem.",
            "Always near conifers.",
        ),
        (
            "*Boletus*: a dry cap, and a stem with a net.",
            "The peppery bolete (*Chalciporus piperatus*): smaller, with rust-red pores.",
            "Slimy spike-caps (*Gomphidius*): gills, not pores.",
        ),
    ),
)

GENERA: tuple[str, ...] = tuple(genus.name for genus in NINE)
"""The names of the checkpoints that ship, in their order."""

GENUS_BY_NAME = {genus.name: genus for genus in NINE}

GOLDEN_ANGLE = 0.381966
"""Of a full turn: hues that follow each other by it never come close, however many there are."""


def about(name: str, rank: str = "genus") -> Genus:
    """What is known of a name; of one that is not in this file only a colour and links."""
    return GENUS_BY_NAME.get(name) or Genus(name, colours((name,))[name], "", (), (), rank)


def colours(names: Sequence[str]) -> dict[str, str]:
    """A CSS colour for each of any number of names: their own for those in this file, for others one that differs."""
    unknown = [name for name in names if name not in GENUS_BY_NAME]
    made = {name: _made_colour(position) for position, name in enumerate(unknown)}
    return {name: made.get(name) or GENUS_BY_NAME[name].colour for name in names}


def _made_colour(position: int) -> str:
    """The colour at a position of an endless row: hues by the golden angle, three lightnesses in turn."""
    lightness = (0.42, 0.62, 0.30)[position % 3]
    red, green, blue = colorsys.hls_to_rgb((0.08 + GOLDEN_ANGLE * position) % 1, lightness, 0.55)
    return f"#{round(255 * red):02X}{round(255 * green):02X}{round(255 * blue):02X}"
