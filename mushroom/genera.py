"""The nine genera: their order, colours, field marks, look-alikes and sources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Genus:
    """What is told of a genus. ``colour`` is a CSS colour, ``sources`` are Markdown links, the rest sentences."""

    name: str
    colour: str
    description: str
    field_marks: tuple[str, ...]
    look_alikes: tuple[str, ...]
    sources: tuple[str, ...]


def _sources(name: str) -> tuple[str, ...]:
    return (
        f"[Wikipedia](https://en.wikipedia.org/wiki/{name})",
        f"[GBIF](https://www.gbif.org/species/search?q={name}&rank=GENUS)",
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
        _sources("Agaricus"),
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
        _sources("Amanita"),
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
        _sources("Boletus"),
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
        _sources("Cortinarius"),
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
        _sources("Entoloma"),
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
        _sources("Hygrocybe"),
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
        _sources("Lactarius"),
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
        _sources("Russula"),
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
        _sources("Suillus"),
    ),
)

GENERA: tuple[str, ...] = tuple(genus.name for genus in NINE)
"""Every vector of nine numbers in this project is in this order."""

GENUS_BY_NAME = {genus.name: genus for genus in NINE}
