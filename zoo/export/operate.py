"""What a model home carries for whoever runs it in TensorFlow Serving: batching, and lines to copy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from zoo.errors import UserError
from zoo.export.loaded import ROWS, versions
from zoo.export.stock_ops import SERVER

IMAGES = {"CPU": f"tensorflow/serving:{SERVER}", "GPU": f"tensorflow/serving:{SERVER}-gpu"}


def batching_parameters(most: int = 4 * ROWS) -> str:
    """The text of --batching_parameters_file: a request waits two milliseconds for company.

    Large requests are not split: the parts of an output as wide as its widest row would differ in shape, and
    TensorFlow Serving would put them together all the same.

    Args:
        most: rows of the largest batch and of the largest request; more are refused.
    """
    return f"""# --enable_batching --batching_parameters_file=…/batching_parameters.txt
# Requests share a batch of up to {most} rows; one with more is refused.
max_batch_size {{ value: {most} }}
# How long the first request of a batch waits for others.
batch_timeout_micros {{ value: 2000 }}
# What waits beyond this is refused at once, with UNAVAILABLE.
max_enqueued_batches {{ value: 128 }}
# Batches that are worked on side by side: the server's cores, divided by the threads that each one uses.
num_batch_threads {{ value: 2 }}
"""


def models_config(folder: Path, base_path: str) -> str:
    """The file that TensorFlow Serving takes as --model_config_file: all model homes of a folder.

    Args:
        folder: holds the homes.
        base_path: where that folder stands on the server, such as "/models", or a URI.
    Raises: UserError where the folder holds no home, or base_path is not absolute.
    """
    if "://" not in base_path and not base_path.startswith("/"):
        raise UserError(f'"{base_path}" is not absolute', remedy="Give the path as the server sees it: /models.")
    homes = sorted(each.name for each in folder.iterdir() if versions(each)) if folder.is_dir() else []
    if not homes:
        raise UserError("no model home is here", where=str(folder), remedy="`zoo TASK export RUN HOME` makes one.")
    entries = "".join(
        f"  config {{\n    name: {_quoted(name)}\n    base_path: {_quoted(base_path.rstrip('/') + '/' + name)}\n"
        '    model_platform: "tensorflow"\n  }\n'
        for name in homes
    )
    return f"model_config_list {{\n{entries}}}\n"


def _quoted(text: str) -> str:
    """A string of protobuf's text format."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _request(name: str, example: str | bytes | Mapping[str, str]) -> str:
    """A shell line that asks a model over REST."""
    url = f"localhost:8501/v1/models/{name}:predict"
    if isinstance(example, bytes):  # a file has no place in a line
        body = """'{"instances": [{"b64": "%s"}]}' "$(base64 < FILE | tr -d '\\n')\""""
        return f"printf {body} | curl -d @- {url}"
    body = json.dumps({"instances": [example]}, ensure_ascii=False).replace("'", "'\\''")
    return f"curl -d '{body}' {url}"


def lines_to_copy(name: str, example: str | bytes | Mapping[str, str]) -> str:
    """How to ask a model and to run it by Docker, Docker Compose and Kubernetes, in Markdown.

    Args:
        name: of the model, whose home stands in the working folder.
        example: an input, or a value for each of the inputs; of bytes a file is asked about.
    """
    flags = ["--enable_batching", f"--batching_parameters_file=/models/{name}/batching_parameters.txt"]
    arguments = " ".join(flags)
    return f"""```
{_request(name, example)}
```

Without Docker: `zoo serve` with the folder that holds this one. In Python: `zoo.load("{name}")([…])`.

## Running it in TensorFlow Serving

From the folder that holds this one; 8501 is REST, 8500 is gRPC. The GPU image needs NVIDIA's container toolkit.

```
docker run -p 8500:8500 -p 8501:8501 -v "$PWD/{name}:/models/{name}:ro" -e MODEL_NAME={name} \\
  {IMAGES["CPU"]} {arguments}
docker run --gpus all -p 8500:8500 -p 8501:8501 -v "$PWD/{name}:/models/{name}:ro" -e MODEL_NAME={name} \\
  {IMAGES["GPU"]} {arguments}
```

Docker Compose, `compose.yaml`; on a GPU take `{IMAGES["GPU"]}` and add `gpus: all`:

```yaml
{_compose(name, flags)}```

Kubernetes; the volume `models` is to hold this folder. On a GPU take `{IMAGES["GPU"]}` and add
`resources: {{limits: {{nvidia.com/gpu: 1}}}}`:

```yaml
{_kubernetes(name, flags)}```"""


def _compose(name: str, flags: list[str]) -> str:
    return f"""services:
  {name}:
    image: {IMAGES["CPU"]}
    command: {json.dumps(flags)}
    environment: {{MODEL_NAME: {json.dumps(name)}}}
    volumes: ["./{name}:/models/{name}:ro"]
    ports: ["8500:8500", "8501:8501"]
    restart: unless-stopped
"""


def _kubernetes(name: str, flags: list[str]) -> str:
    """Ready is what the status API says; the health service of gRPC would say so before the model is loaded."""
    label = "".join(each if each.isalnum() else "-" for each in name.lower()).strip("-")
    return f"""apiVersion: apps/v1
kind: Deployment
metadata: {{name: {label}}}
spec:
  selector: {{matchLabels: {{app: {label}}}}}
  template:
    metadata: {{labels: {{app: {label}}}}}
    spec:
      containers:
      - name: serving
        image: {IMAGES["CPU"]}
        args: {json.dumps(flags)}
        env: [{{name: MODEL_NAME, value: {json.dumps(name)}}}]
        ports: [{{containerPort: 8500}}, {{containerPort: 8501}}]
        readinessProbe: {{httpGet: {{path: /v1/models/{name}, port: 8501}}}}
        volumeMounts: [{{name: models, mountPath: /models/{name}, subPath: {name}, readOnly: true}}]
      volumes: [{{name: models, persistentVolumeClaim: {{claimName: models}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {label}}}
spec:
  selector: {{app: {label}}}
  ports: [{{name: grpc, port: 8500}}, {{name: rest, port: 8501}}]
"""
