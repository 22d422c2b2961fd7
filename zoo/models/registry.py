"""The families by name; a new family adds its one line here."""

FAMILIES = {
    "seq2seq": "zoo.models.seq2seq:Seq2Seq",
}
