"""What a model home carries for its operator: batching parameters, lines to copy, models.config."""

import base64
import json
import re
import shlex
import subprocess

import pytest
from google.protobuf import text_format

from zoo.errors import UserError
from zoo.export.operate import batching_parameters, lines_to_copy, models_config

serving = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")


def fenced(text: str, language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_batching_parameters_are_what_serving_reads():
    # servables/tensorflow/session_bundle_config.proto: messages with a value each.
    found = dict(re.findall(r"^(\w+) \{ value: (\w+) \}$", batching_parameters(16), re.MULTILINE))
    assert found == {
        "max_batch_size": "16",
        "batch_timeout_micros": "2000",
        "max_enqueued_batches": "128",
        "num_batch_threads": "2",
    }
    others = [line for line in batching_parameters(16).splitlines() if not re.match(r"\w+ \{ value: \w+ \}$", line)]
    assert others and all(line.startswith("# ") for line in others)


def test_the_embedded_server_reads_them_too(tmp_path):
    batching = pytest.importorskip("zoo.serving.batching")
    path = tmp_path / "batching_parameters.txt"
    path.write_text(batching_parameters(16), encoding="utf-8")
    assert batching.read_parameters(path).max_batch_size == 16


def test_the_curl_line_survives_the_shell():
    text = lines_to_copy("my-model", 'It\'s a "dog" — 犬\\')
    line = fenced(text)[0].strip()
    words = shlex.split(line)
    assert words[:2] == ["curl", "-d"] and words[3] == "localhost:8501/v1/models/my-model:predict"
    assert json.loads(words[2]) == {"instances": ['It\'s a "dog" — 犬\\']}


def test_a_file_is_sent_by_its_line(tmp_path):
    line = fenced(lines_to_copy("m", b"any"))[0].strip()
    assert line.endswith(" | curl -d @- localhost:8501/v1/models/m:predict")
    data = bytes(range(256))
    (tmp_path / "FILE").write_bytes(data)
    sent = subprocess.run(["sh", "-c", line.partition(" | curl")[0]], cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(sent.stdout) == {"instances": [{"b64": base64.b64encode(data).decode()}]}


def test_docker_lines_for_cpu_and_gpu():
    commands = shlex.split(fenced(lines_to_copy("m", "x"))[1].replace("\\\n", " "))
    cpu, gpu = (commands[: commands.index("docker", 1)], commands[commands.index("docker", 1) :])
    flags = ["--enable_batching", "--batching_parameters_file=/models/m/batching_parameters.txt"]
    assert cpu[-3:] == ["tensorflow/serving:2.20.0", *flags]
    assert gpu[-3:] == ["tensorflow/serving:2.20.0-gpu", *flags] and gpu[2:4] == ["--gpus", "all"]
    for command in (cpu, gpu):
        assert "$PWD/m:/models/m:ro" in command and "MODEL_NAME=m" in command


def test_compose_and_kubernetes_are_yaml():
    yaml = pytest.importorskip("yaml")
    compose, kubernetes = fenced(lines_to_copy("My_model.1", "x"), "yaml")
    flags = ["--enable_batching", "--batching_parameters_file=/models/My_model.1/batching_parameters.txt"]
    service = yaml.safe_load(compose)["services"]["My_model.1"]
    assert service["command"] == flags and service["environment"] == {"MODEL_NAME": "My_model.1"}
    assert service["volumes"] == ["./My_model.1:/models/My_model.1:ro"]
    deployment, service = yaml.safe_load_all(kubernetes)
    assert deployment["metadata"]["name"] == service["metadata"]["name"] == "my-model-1"  # a DNS label
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    (container,) = pod["spec"]["containers"]
    assert container["args"] == flags and container["env"] == [{"name": "MODEL_NAME", "value": "My_model.1"}]
    assert container["readinessProbe"]["httpGet"] == {"path": "/v1/models/My_model.1", "port": 8501}
    assert container["volumeMounts"][0]["name"] == pod["spec"]["volumes"][0]["name"]
    assert {port["port"] for port in service["spec"]["ports"]} == {8500, 8501}


def test_models_config_takes_any_name(tmp_path):
    for name in ('a "b"', "plain"):
        (tmp_path / name / "1").mkdir(parents=True)
    (tmp_path / "no model").mkdir()
    parsed = text_format.Parse(models_config(tmp_path, "gs://bucket/"), serving.ModelServerConfig())
    assert [(each.name, each.base_path) for each in parsed.model_config_list.config] == [
        ('a "b"', 'gs://bucket/a "b"'),
        ("plain", "gs://bucket/plain"),
    ]
    with pytest.raises(UserError, match="not absolute"):
        models_config(tmp_path, "models")


def test_a_home_carries_all_of_it(home):
    card = (home / "README.md").read_text(encoding="utf-8")
    assert "| audit | stock TensorFlow and TensorFlow Text ops only" in card
    assert "draws at random" in card  # the audit's only warning: the signature `sample`
    for text in ("curl -d", "docker run --gpus all", "services:", "kind: Deployment"):
        assert text in card
    assert (home / "batching_parameters.txt").read_text(encoding="utf-8") == batching_parameters()
