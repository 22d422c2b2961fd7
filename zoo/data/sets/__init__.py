"""One module a data set, each with a `SET` that `zoo.data.registry` lists."""
