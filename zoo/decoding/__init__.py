"""Search for the best output of a model that generates: greedy, beam, sampling."""
