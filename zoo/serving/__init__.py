"""The embedded server and its client; knows SavedModels and floor 0, no other room."""
