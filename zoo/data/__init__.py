"""From the user's files to batches: readers, registry, preparation, batch plans, loading, and a check of the files."""
