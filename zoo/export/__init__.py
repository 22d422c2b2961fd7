"""From a run to a model home: SavedModel, audit, warm-up requests, card."""
