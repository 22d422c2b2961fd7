"""Pickled weights: the same arrays as PyTorch reads, and nothing is run, whatever the file asks for."""

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from zoo.errors import UserError
from zoo.interop.pickled import read

RECORDED = Path(__file__).parent / "recorded"


def archive(path, program, **storages):
    """A file as torch.save lays it out, around any pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", program)
        file.writestr("archive/byteorder", b"little")
        for name, data in storages.items():
            file.writestr(f"archive/data/{name.removeprefix('_')}", data)
    return path


@pytest.mark.parametrize("name", ["state_zip.bin", "state_row.bin"])
def test_both_formats_give_the_recorded_arrays(name):
    """recorded/: torch.save (PyTorch 2.13) of what `test_pytorch_reads_the_same` makes."""
    found = read(RECORDED / name)
    assert list(found) == ["plain", "turned", "part", "shared", "half", "brain", "whole", "scalar", "empty"]
    plain = np.arange(12, dtype="float32").reshape(3, 4) / 8
    np.testing.assert_array_equal(found["plain"], plain)
    np.testing.assert_array_equal(found["turned"], plain.T)
    np.testing.assert_array_equal(found["part"], plain[1:, ::2])
    np.testing.assert_array_equal(found["shared"], plain)
    np.testing.assert_array_equal(found["half"], np.array([0.5, -2.0], "float16"))
    np.testing.assert_array_equal(found["brain"], np.array([1.5, -3.0], ml_dtypes.bfloat16))
    np.testing.assert_array_equal(found["whole"], np.array([[7, -9]], "int64"))
    assert found["scalar"].shape == () and found["scalar"] == 2.5
    assert found["empty"].shape == (0, 3)
    assert [str(found[name].dtype) for name in ("half", "brain", "whole")] == ["float16", "bfloat16", "int64"]
    assert not found["plain"].flags.owndata and not found["plain"].flags.writeable  # a view of the file


@pytest.mark.parity
@pytest.mark.parametrize("old", [False, True])
def test_pytorch_reads_the_same(tmp_path, old):
    torch = pytest.importorskip("torch")
    plain = torch.arange(12.0).reshape(3, 4) / 8
    state = OrderedDict(
        plain=plain, turned=plain.T, part=plain[1:, ::2], shared=plain, half=torch.tensor([0.5, -2.0]).half(),
        brain=torch.tensor([1.5, -3.0]).bfloat16(), whole=torch.tensor([[7, -9]]), scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 3),
    )  # fmt: skip
    torch.save(state, tmp_path / "state.bin", _use_new_zipfile_serialization=not old)
    found = read(tmp_path / "state.bin")
    assert list(found) == list(state)
    for name, tensor in torch.load(tmp_path / "state.bin", weights_only=True).items():
        np.testing.assert_array_equal(found[name].astype("float64"), tensor.double().numpy(), err_msg=name)


class Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "function, arguments, told",
    [
        (os.system, ("touch {path}",), "posix.system"),
        (eval, ("open('{path}', 'w')",), "builtins.eval"),
        (getattr, (dict, "keys"), "builtins.getattr"),
        (open, ("{path}", "w"), "io.open"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_something_is_refused_and_nothing_ran(tmp_path, function, arguments, told, zipped):
    trace, path = tmp_path / "trace", tmp_path / "pytorch_model.bin"
    arguments = [each.format(path=trace) if isinstance(each, str) else each for each in arguments]
    program = pickle.dumps(OrderedDict(weight=Runs(function, *arguments)), protocol=2)
    if zipped:
        archive(path, program)
    else:
        path.write_bytes(program)
    with pytest.raises(UserError, match=f"asks for {told}".replace("builtins", "(builtins|__builtin__)")) as caught:
        read(path)
    assert caught.value.where == str(path) and "safetensors" in caught.value.remedy
    assert not trace.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_what_is_refused_did_not_even_come_to_be_imported(tmp_path, zipped):
    path = tmp_path / "a.bin"
    path.write_bytes(b"cthis\n_module\n.") if not zipped else archive(path, b"cantigravity\nfly\n.")
    with pytest.raises(UserError, match="asks for (this._module|antigravity.fly)"):
        read(path)
    import sys

    assert "antigravity" not in sys.modules and "this" not in sys.modules


def test_the_stand_ins_cannot_be_changed_from_within(tmp_path):
    # BUILD ("b") sets attributes of the object that a global gave.
    changes = b"ctorch._utils\n_rebuild_tensor_v2\n(N}(V__call__\nNust."
    with pytest.raises(UserError, match="not a whole file"):
        read(archive(tmp_path / "a.bin", changes))
    assert callable(read.__globals__["_Rebuild"]())


@pytest.mark.parametrize("keep", [0, 1, 40, 400, 0.5, 0.98])
@pytest.mark.parametrize("name", ["state_zip.bin", "state_row.bin"])
def test_a_torn_file_is_named(tmp_path, name, keep):
    whole = (RECORDED / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(UserError) as caught:
        read(path)
    assert caught.value.where == str(path)


def tensor_program(shape, strides, offset=0, elements=4):
    """The pickle of {"w": a tensor over storage "0"}, written by hand."""

    def numbers(values):
        return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"

    storage = b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI%d\ntQ" % elements
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"I%d\n" % offset
    tensor += numbers(shape) + numbers(strides) + b"I00\n}tR"
    return b"\x80\x02}Vw\n" + tensor + b"s."


def test_a_tensor_of_more_than_its_storage_is_refused(tmp_path):
    data = np.arange(4, dtype="<f4")
    path = archive(tmp_path / "fits.bin", tensor_program((2, 2), (2, 1)), _0=data.tobytes())
    np.testing.assert_array_equal(read(path)["w"], data.reshape(2, 2))
    for shape, strides, offset in [((3, 2), (2, 1), 0), ((2, 2), (2, 1), 1), ((2,), (-1,), 1), ((2,), (10**9,), 0)]:
        path = archive(tmp_path / "leads_out.bin", tensor_program(shape, strides, offset), _0=data.tobytes())
        with pytest.raises(UserError, match="not a whole file"):
            read(path)
    path = archive(tmp_path / "short.bin", tensor_program((5,), (1,), 0, 5), _0=data.tobytes())
    with pytest.raises(UserError, match="w: 16 bytes are there of 20"):
        read(path)


def test_other_things_than_a_state_dict_are_told(tmp_path):
    with pytest.raises(UserError, match='it holds "epoch"'):
        read(archive(tmp_path / "a.bin", pickle.dumps({"epoch": 3}, protocol=2)))
    with pytest.raises(UserError, match='it holds "list"'):
        read(archive(tmp_path / "a.bin", pickle.dumps([1], protocol=2)))
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "nowhere.bin")
