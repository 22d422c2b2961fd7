"""The audit of a SavedModel's graph: which ops stand in it, and who would make them run."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from zoo.export.audit_rules import Finding
from zoo.export.stock_ops import SERVER, stock_ops

LARGEST_CONSTANT = 1 << 20  # bytes
COMPILED = ("_XlaMustCompile", "_XlaCompile")  # attributes of what a server without XLA refuses to run
VARIANT = 21  # DT_VARIANT in tensorflow/core/framework/types.proto
TABLE_FILES = ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")

# Whatever stands in the graph, called or not.
ANYWHERE = {
    "python": r"PyFunc|PyFuncStateless|EagerPyFunc",
    "xla": r"_?Xla.*|.*TPU.*|(In|Out)feed.*",
    "network": r"DataService.*|Rpc.*|_?(Host)?(Send|Recv)|Collective.*|_?Nccl.*|RemoteCall",
    "growing": r"(FIFO|PaddingFIFO|Priority|RandomShuffle|Fake)Queue(V2)?|Barrier|(OrderedMap|Map)?Stage"
    r"|(Sparse|Resource)?ConditionalAccumulator|Resource(Conditional)?Accumulator.*|Add(Many)?SparseToTensorsMap",
}
# Whatever is not for writing and reading checkpoints, which the server does at the load.
BUT_CHECKPOINTS = {
    "file": r"ReadFile|WriteFile|MatchingFiles.*|.*Reader(V2)?|Reader[A-Z].*|Save(V2|Slices)?|Restore(V2|Slice)?"
    r"|ShardedFilename|MergeV2Checkpoints|DistributedSave|LoadAndRemapMatrix|DumpTensor|RecordInput|CreateSummary.*"
    r"|Write.*Summary|.*(TFRecord|TextLine|FixedLengthRecord|CSV|Sql|LMDB|Save|Load|Snapshot)Dataset(V\d)?"
    r"|(Experimental)?DatasetToTFRecord|Debug(Identity|NumericSummary|NanCount).*",
}
# Whatever a request runs.
BY_REQUESTS = {
    "growing": r"LookupTable(Insert|Import)(V2)?",
    "state": r"Assign(Add|Sub)?(VariableOp)?|Resource(Apply|SparseApply|Scatter|StridedSliceAssign|CountUpTo).*"
    r"|Scatter(Update|Add|Sub|Mul|Div|Min|Max|NdUpdate|NdAdd|NdSub)|CountUpTo|LookupTableRemove(V2)?",
    "random": r"Random(Uniform|UniformInt|StandardNormal|Gamma|Poisson|PoissonV2|Shuffle|Crop)|Multinomial"
    r"|(Parameterized)?TruncatedNormal|Stateful(StandardNormal|Uniform|TruncatedNormal|Random).*|RngReadAndSkip"
    r"|RngSkip|NonDeterministicInts|.*CandidateSampler|SampleDistortedBoundingBox(V2)?",
}
WHAT = {
    "python": "the op {} calls Python",
    "xla": "the op {} needs XLA or a TPU",
    "network": "the op {} talks to other machines",
    "growing": "the op {} keeps what requests bring",
    "file": "the op {} reads or writes files",
    "state": "the op {} changes a variable or table",
    "random": "the op {} draws at random",
}

Place = tuple[str, str]  # function, or "" for the graph itself, and node


class Graph:
    """The nodes of a MetaGraphDef and of the functions in its library, by place."""

    def __init__(self, meta_graph: Any) -> None:
        self._meta_graph = meta_graph
        self._functions = {each.signature.name: each for each in meta_graph.graph_def.library.function}
        self.nodes: dict[Place, Any] = {("", node.name): node for node in meta_graph.graph_def.node}
        for name, function in self._functions.items():
            self.nodes |= {(name, node.name): node for node in function.node_def}
        self.by_signature = {
            name: self.reach(info.name for info in each.outputs.values())
            for name, each in meta_graph.signature_def.items()
            if not name.startswith("__")
        }
        saver = meta_graph.saver_def
        self.by_requests = set().union(*self.by_signature.values())
        self.at_load = self.reach(self._initializers())
        checkpoints = self.reach((saver.save_tensor_name, saver.restore_op_name, saver.filename_tensor_name))
        self.for_checkpoints = checkpoints - self.by_requests - self.at_load

    def reach(self, tensors: Iterable[str]) -> set[Place]:
        """All that runs when these tensors, or nodes, of the graph itself are asked for; functions with all they hold.

        More than does run is no harm: TensorFlow keeps the stateful nodes of a function, wherever they stand in it.
        """
        found: set[Place] = set()
        waiting = [("", _node(name)) for name in tensors]
        while waiting:
            place = waiting.pop()
            node = self.nodes.get(place)
            if node is None or place in found:
                continue
            found.add(place)
            waiting += [(place[0], _node(name)) for name in node.input]
            for called in _called(node):
                waiting += [(called, each.name) for each in self._nodes_of(called)]
        return found

    @property
    def functions(self) -> Mapping[str, Any]:
        """The FunctionDefs of the library, by name."""
        return self._functions

    def reads_an_asset(self, place: Place) -> bool:
        """Whether the initializer of a table reads a file that the SavedModel brings."""
        assets = {_node(each.tensor_info.name) for each in self._meta_graph.asset_file_def}
        sources = self._sources(place[0], self.nodes[place].input[1], depth=8)
        return bool(sources) and all(function == "" and name in assets for function, name in sources)

    def _sources(self, function: str, tensor: str, depth: int) -> set[Place]:
        """The nodes that a tensor comes from, through identities, variables and the arguments of functions."""
        name = _node(tensor)
        node = self.nodes.get((function, name))
        origins: list[tuple[str, str]] = []  # function and tensor
        if node is None and function:
            arguments = [each.name for each in self._functions[function].signature.input_arg]
            index = arguments.index(name)
            callers = [(place[0], each) for place, each in self.nodes.items() if function in _called(each)]
            origins = [(where, call.input[index]) for where, call in callers]
        elif node is not None and node.op == "Identity":
            origins = [(function, node.input[0])]
        elif node is not None and node.op == "ReadVariableOp":  # which an initializer has set
            sets = [
                each for place, each in self.nodes.items() if place[0] == function and each.op == "AssignVariableOp"
            ]
            origins = [(function, each.input[1]) for each in sets if _node(each.input[0]) == _node(node.input[0])]
        if not origins or depth == 0:
            return {(function, name)}
        return set().union(*(self._sources(*origin, depth - 1) for origin in origins))

    def _nodes_of(self, function: str) -> Iterable[Any]:
        return self._functions[function].node_def if function in self._functions else ()

    def _initializers(self) -> Iterator[str]:
        for name, each in self._meta_graph.signature_def.items():
            if name.startswith("__"):
                yield from (info.name for info in each.outputs.values())
        for name in ("saved_model_main_op", "legacy_init_op"):
            if name in self._meta_graph.collection_def:
                yield from self._meta_graph.collection_def[name].node_list.value


def findings(graph: Graph) -> list[Finding]:
    """What the ops of a graph have against being served; one finding for each op and rule."""
    places: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place, node in graph.nodes.items():
        for rule, what in _problems(graph, place, node):
            places[rule, what].append(place)
    for name, function in graph.functions.items():
        if any(function.attr[each].b for each in COMPILED if each in function.attr):
            places["xla", "a function must be compiled by XLA"].append((name, ""))
    return [Finding(rule, what, _told(found)) for (rule, what), found in places.items()]


def random_signatures(graph: Graph) -> set[str]:
    """The signatures whose answers are drawn at random."""
    return {
        name
        for name, places in graph.by_signature.items()
        if any(re.fullmatch(BY_REQUESTS["random"], graph.nodes[place].op) for place in places)
    }


def _problems(graph: Graph, place: Place, node: Any) -> Iterator[tuple[str, str]]:
    """(rule, what) for all that is wrong with a node."""
    if node.op not in stock_ops() and node.op not in graph.functions:
        yield "op", f"the op {node.op} is not one of TensorFlow or TensorFlow Text {SERVER}"
    checks = [ANYWHERE]
    if place not in graph.for_checkpoints:
        checks.append(BUT_CHECKPOINTS)
    if place in graph.by_requests:
        checks.append(BY_REQUESTS)
    for rules in checks:
        for rule, pattern in rules.items():
            if re.fullmatch(pattern, node.op):
                yield rule, WHAT[rule].format(node.op)
    if node.op in TABLE_FILES and not graph.reads_an_asset(place):
        yield "file", f"the op {node.op} reads a file that is no asset"
    if node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file://"):
        yield "file", "the op PrintV2 writes a file"
    if node.op == "VarHandleOp" and node.attr["dtype"].type == VARIANT:
        yield "growing", "a variable holds a list of tensors or a data set"
    if any(node.attr[name].b for name in COMPILED if name in node.attr):
        yield "xla", "a call must be compiled by XLA"
    if node.op == "Const" and node.attr["value"].tensor.ByteSize() > LARGEST_CONSTANT:
        yield "constant", f"a constant holds more than {LARGEST_CONSTANT >> 20} MiB"


def _called(node: Any) -> list[str]:
    """The functions that a node may call."""
    names = [node.op]
    for value in node.attr.values():
        names += [value.func.name] if value.HasField("func") else [each.name for each in value.list.func]
    return names


def _node(tensor: str) -> str:
    """The node, or argument of a function, of "name", "name:0", "name:output:0" or "^name"."""
    return tensor.removeprefix("^").partition(":")[0]


def _told(places: list[Place]) -> str:
    shown = [
        ", ".join(f"{kind} {name}" for kind, name in zip(("function", "node"), place, strict=True) if name)
        for place in places[:3]
    ]
    return "; ".join(shown) + (f"; and {len(places) - 3} more" if len(places) > 3 else "")
