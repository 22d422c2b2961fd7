"""From raw strings, image bytes and sound bytes to arrays and back; each with a host face and a graph face."""
