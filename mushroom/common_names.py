"""What people call the nine genera in twelve languages, and where each language's names were read.

They were read on 26 November 2026 in stored copies of the sources of their language: most beside the genus' Latin name,
or in the names of its species. Some are said of more or of less than the genus. "Boletes", "bolets", "boletos",
"boleten" and "rørhat" are what a language calls every mushroom with tubes under its cap, of which Boletus is one genus;
"field mushrooms" and "stensoppar" are first of all the best-known species, Agaricus campestris and Boletus edulis.
Where no source gave the genus a name of its own, the Latin name stands alone, and ``UNNAMED`` says why.
"""

from mushroom.genera import GENERA

_NAMES = {
    "en": "field mushrooms · amanitas · boletes · webcaps · pinkgills · waxcaps · milkcaps · brittlegills · "
    "slippery jacks",
    "de": "Champignons · Wulstlinge · Dickbauchröhrlinge · Schleierlinge · Rötlinge · Saftlinge · Milchlinge · "
    "Täublinge · Schmierröhrlinge",
    "fr": "agarics · amanites · bolets · cortinaires · entolomes · hygrocybes · lactaires · russules · -",
    "es": "champiñones · amanitas · boletos · cortinarios · entolomas · - · lactarios · rúsulas · -",
    "nl": "champignons · amanieten · boleten · gordijnzwammen · satijnzwammen · wasplaten · melkzwammen · russula's · "
    "-",
    "pl": "pieczarka · muchomor · borowik · zasłonak · dzwonkówka · wilgotnica · mleczaj · gołąbek · maślak",
    "cs": "pečárka · muchomůrka · hřib · pavučinec · závojenka · voskovka · ryzec · holubinka · klouzek",
    "da": "champignon · fluesvamp · rørhat · slørhat · rødblad · vokshat · mælkehat · skørhat · slimrørhat",
    "sv": "champinjoner · flugsvampar · stensoppar · spindlingar · rödskivlingar · vaxskivlingar · riskor · kremlor · "
    "slemsoppar",
    "ru": "шампиньон · мухомор · боровик · паутинник · энтолома · гигроцибе · млечник · сыроежка · маслёнок",
    "ja": "ハラタケ属 · テングタケ属 · ヤマドリタケ属 · フウセンタケ属 · イッポンシメジ属 · アカヤマタケ属 · "
    "カラハツタケ属 · ベニタケ属 · ヌメリイグチ属",
    "zh": "蘑菇属 · 鹅膏菌属 · 牛肝菌属 · 丝膜菌属 · 粉褶菌属 · 湿伞属 · 乳菇属 · 红菇属 · 乳牛肝菌属",
}
"""By language (ISO 639-1), in the order of ``GENERA``, as the language writes them in a list; a dash for none."""

UNNAMED: dict[tuple[str, str], str] = {
    ("fr", "Suillus"): "The sources call it bolets, as they do Boletus.",
    ("es", "Hygrocybe"): "The sources name some species, and not the genus.",
    ("es", "Suillus"): "The Spanish Wikipedia gives no name; “babosos” is said of single species and in one list only.",
    ("nl", "Suillus"): "“Ringboleet” is said of the species with a ring, and not of the genus.",
}
"""Why a genus has no name in a language."""

SOURCES: dict[str, tuple[str, ...]] = {
    "en": (
        "http://www.first-nature.com/fungi/",
        "https://burkeherbarium.org/imagecollection/browse.php?Family=Russulaceae",
        "http://absoluteastronomy.com/topics/Suillus",
    ),
    "de": (
        "http://www.mykonet.ch/Kleine_Gattungslehre.htm",
        "https://www.pilzgattungen.de/suillus/schmierroehrlinge.html",
    ),
    "fr": (
        "http://foyerruraldemontmelian.fr/les-agarics_77.php",
        "https://balaba.eu/les-cortinaires/",
        "https://bitlit.ru/page/fr/paul-dumee/nouvel-atlas-de-poche-des-champignons-comestibles-et-veneneux-les-plus-"
        "repandus-serie-i-troisieme-edition-suivi-de-notions-generales-sur-les-champigno/158",
        "http://viagallica.com/f/nonnette_voilee.htm",
        "stored index, file 71362586940",
    ),
    "es": (
        "http://errotari.com/errotaricastellano/iniciacion4.htm",
        "https://w3.ual.es/GruposInv/myco-ual/agarical2.htm",
        "stored index, file 57157290579",
    ),
    "nl": (
        "https://issuu.com/vbku/docs/inkijkexemplaar_de_grote_paddenstoe_7d244d8cfa3418",
        "https://www.mycologen.nl/onderzoek/meetnet/moerassen-venen/moerasbegeleiders/satijnzwammen/",
        "stored index, file 71422352747",
    ),
    "pl": (
        "https://ethnobiomed.biomedcentral.com/articles/10.1186/s13002-019-0291-6/tables/1",
        "http://grzyby.pl/slownik-wspolczesnie-uzywane-potoczne-ludowe-nazwy-grzybow.htm",
        "https://el.io.vn/pl/Entoloma",
        "stored index, file 23150527143",
    ),
    "cs": (
        "https://seminar2013.myko.cz/rody_seznam.html",
        "https://www.ireceptar.cz/zahrada/hriby-druhy-20200726.html",
        "https://mykoatlas.myko.cz/atlas/Hygrocybe-ceracea",
        "https://mykoatlas.myko.cz/atlas/Entoloma-cryptocystidiatum",
        "http://rostliny.blogspot.com/2011/10/",
    ),
    "da": (
        "http://vestrehus.dk/Svampe/sloerhatte.htm",
        "https://abcdocz.com/doc/3926808/r%C3%B8rhatte-r%C3%B8rhatte-r%C3%B8rhatte",
        "https://www.naturbasen.dk/art/14893/giftig-roedblad",
        "stored index, file 48506301599",
    ),
    "sv": (
        "https://www.skogensrost.com/champinjoner-agaricus",
        "https://www.skogensrost.com/riskor-lactarius",
        "https://www.skogensrost.com/vaxskivlingar-hygrocybe-m-fl",
        "https://fof.se/artikel/2003/3/extra-pa-webben-spindlingar/",
        "https://docplayer.se/amp/9127907-Svampar-soppar-ett-urval-av-atbara-och-goda-soppar.html",
        "stored index, file 66540835598",
    ),
    "ru": (
        "https://wikiwand.com/ru/articles/Lactarius",
        "https://ru.m.wikipedia.org/wiki/Leptonia",
        "https://toadstool.ru/spisok-rodov/cortinarius",
        "https://www.park-kosa.ru/gigroczibe-konicheskaya,-hygrocybe-conica",
        "stored index, file 49741654446",
    ),
    "ja": (
        "https://mikawanoyasou.org/kinoko/karahatutake.htm",
        "https://naturalism-2003.com/kansatsu/fungi/benihigasa/benihigasa.html",
        "http://stewartia.net/engei/family/Kinoko_ka.html",
        "stored index, file 57716619371",
    ),
    "zh": (
        "https://github.com/mindspore-ai/mindspore-21-days-tutorials/blob/main/chapter3/resnet_gpu/README.md",
        "stored index, file 10063923837",
    ),
}
"""By language: pages, and files of the public source code that was searched (its index names no repository)."""

COMMON_NAMES: dict[str, dict[str, str | None]] = {
    language: {genus: None if name == "-" else name for genus, name in zip(GENERA, names.split(" · "), strict=True)}
    for language, names in _NAMES.items()
}


def common_name(name: str, language: str) -> str | None:
    """What people call a genus in a language ("de", "de-AT", "pt-BR"); None where that is not in this file."""
    return COMMON_NAMES.get(_code(language), {}).get(name)


def common_name_sources(language: str) -> tuple[str, ...]:
    """Pages that the names of a language were read on."""
    return tuple(source for source in SOURCES.get(_code(language), ()) if source.startswith("http"))


def _code(language: str) -> str:
    return language.replace("_", "-").split("-")[0].lower()
