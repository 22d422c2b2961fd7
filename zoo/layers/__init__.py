"""The parts that families are built of: attention, feed-forward, block, stack, positions, embeddings."""
