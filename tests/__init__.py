"""The tests; the folders mirror zoo/."""
