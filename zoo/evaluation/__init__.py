"""The scores that each field reports, by the field's own scorers."""
