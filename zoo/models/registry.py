"""The families by name; a new family adds its one line here.

The Config and the PRESETS of a family stand in the module of the same name that ends in `_config`, which does not
load Keras.
"""

FAMILIES = {
    "seq2seq": "zoo.models.seq2seq:Seq2Seq",
    "bert": "zoo.models.bert:Bert",
    "vit": "zoo.models.vit:Vit",
}


def config_module(family: str) -> str:
    """The name of the module with the family's Config and PRESETS."""
    return FAMILIES[family].partition(":")[0] + "_config"
