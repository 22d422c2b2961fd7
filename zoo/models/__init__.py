"""The families: one file each, with its Config, its PRESETS and its keras.Model."""
