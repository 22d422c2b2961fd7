"""Tests of zoo.decoding."""
