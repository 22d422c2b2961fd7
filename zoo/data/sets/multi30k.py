"""Multi30k, task 1: captions of pictures in English with translations into German and French.

Elliott, Frank, Sima'an, Specia: Multi30K: Multilingual English-German Image Descriptions (2016); Elliott et al.:
Findings of the Second Shared Task on Multimodal Machine Translation (2017).
"""

from collections.abc import Mapping
from pathlib import Path

from zoo.data.readers import Table, open_table
from zoo.data.registry import About
from zoo.data.sets.files import PublicFile, obtain

FOLDER = "text/multi30k"
BASE = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1"

RAW_SHA256 = {
    "train.en": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    "train.de": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    "train.fr": "5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d",
    "val.en": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    "val.de": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    "val.fr": "5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc",
    "test_2016_flickr.en": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    "test_2016_flickr.de": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    "test_2016_flickr.fr": "cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6",
    "test_2017_flickr.en": "ce1450ddc5ab0834502579d77a170849952e15a2938b34cc503bdc25ebb4fb98",
    "test_2017_flickr.de": "c3078bc3b36808bf9d20eb2347ed6137016179ef59ec0d2b9b8ecc3fb2880081",
    "test_2017_flickr.fr": "6f3764e31dac41e9455e612958bcfd4e877c5e15cd66df2c2b2be6d9bd83e5b6",
}
TOKENIZED_SHA256 = {
    "val.lc.norm.tok.en": "46573ce391ae227f1c72f873392436a20ef18e0a6d518098cfbd70b77c8572ec",
    "val.lc.norm.tok.de": "97232bd273eceb7207f689527386a97e4be2616b18ada47576bdaf96c8ae1f00",
    "val.lc.norm.tok.fr": "b303e301aa21fe7822a846b2b3fb2d5a1121ec807cd5b1d006fb7b2b5507168a",
    "test_2016_flickr.lc.norm.tok.en": "5b7f32627cf99eced828311b955dae9800bb52bc8b91cf8b6526829e605b29d2",
    "test_2016_flickr.lc.norm.tok.de": "c6a33d39d48f9f510de147651316cd9d918e09ad0219df734a2f16b6baccacc4",
    "test_2016_flickr.lc.norm.tok.fr": "1463bd5960f9bfe098ec3cd752d3df0c49c84dc646fb518964a29232658cd836",
    "test_2017_flickr.lc.norm.tok.en": "c9d1dfd7a26add989382e534af235af9f0f658b2a30e7eb0efdaf142496ee54f",
    "test_2017_flickr.lc.norm.tok.de": "02067e4a9402786a4fcb8c1b6f4307e4a5073ced64800abead5273b54f5f31f6",
    "test_2017_flickr.lc.norm.tok.fr": "c0583117a47b31e8a6c6a97cfe8de153e462074668f4e994764fcc80b21d33b4",
}


class Multi30k:
    """The set as `zoo.data.registry` wants it."""

    about = About(
        licence="No licence file; for researchers and educators, non-commercial research and education only; "
        "derived from Flickr30k, whose terms hold too.",
        home="https://github.com/multi30k/dataset",
        description="Captions of 31,000 pictures in English, German and French: 29,000 for training, 1,014 for "
        "validation, two tests of 1,000.",
    )
    splits = ("train", "val", "test_2016_flickr", "test_2017_flickr")
    columns = ("en", "de", "fr")

    def table(self, split: str, columns: Mapping[str, str]) -> Table:
        """Rows of a split, the original text: one caption a row in each language."""
        names = {column: f"{split}.{column}" for column in columns.values()}
        raw = {
            column: PublicFile(f"raw/{name}.gz", f"{BASE}/raw/{name}.gz", RAW_SHA256[name])
            for column, name in names.items()
        }
        return open_table({column: obtain(file, FOLDER, self.about) for column, file in raw.items()}, columns)

    def reference_file(self, split: str, column: str) -> Path | None:
        """The repository's lower-cased, normalised, Moses-tokenized lines: what papers measure BLEU against."""
        name = f"{split}.lc.norm.tok.{column}"
        if name not in TOKENIZED_SHA256:
            return None
        return obtain(PublicFile(f"tok/{name}", f"{BASE}/tok/{name}", TOKENIZED_SHA256[name]), FOLDER, self.about)


SET = Multi30k()
