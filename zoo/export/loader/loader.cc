// Loads a SavedModel as TensorFlow Serving does and answers warm-up requests, with no Python anywhere.
//
//   loader SAVED_MODEL REQUESTS ANSWERS [OPS.so ...]
//
// REQUESTS is a TFRecord of PredictionLog, as assets.extra/tf_serving_warmup_requests; an empty name loads and asks
// nothing. ANSWERS becomes a TFRecord with a PredictResponse (outputs only) for each request. OPS.so register ops that
// are not TensorFlow's own: the stock server has those of TensorFlow Text built in. Standard output gets a line of JSON
// for the load and for each request. The exit code is 1 where one of them fails; as in the server, the first one ends
// the replay.
//
// The wheel brings no code for Serving's messages (prediction_log.proto, predict.proto), so their few fields are read
// and written here by number; what they hold, TensorProto, is TensorFlow's.

#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "tensorflow/c/c_api.h"
#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/lib/io/record_reader.h"
#include "tensorflow/core/lib/io/record_writer.h"
#include "tensorflow/core/platform/env.h"

namespace {

using ::tensorflow::SignatureDef;
using ::tensorflow::Status;
using ::tensorflow::Tensor;
using ::tensorflow::TensorProto;
using ::tensorflow::errors::FailedPrecondition;
using ::tensorflow::errors::InvalidArgument;
using ::tensorflow::errors::Unimplemented;

constexpr int kMostRecords = 1000;  // more, and the server does not load the version
constexpr int kPredictLog = 6;      // PredictionLog.predict_log
constexpr char kTag[] = "serve";

struct Request {
  std::string signature = "serving_default";
  std::map<std::string, Tensor> inputs;
  std::vector<std::string> output_filter;
};

using Field = std::function<Status(int number, const std::string& value)>;

// Calls `field` for each field of a message that holds bytes, text or a message; passes over the others.
Status ForEachField(const std::string& message, const Field& field) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(message.data());
  google::protobuf::io::CodedInputStream in(bytes, static_cast<int>(message.size()));
  const Status broken = InvalidArgument("Failed to parse warmup record");
  while (const uint32_t tag = in.ReadTag()) {
    uint32_t length;
    uint64_t ignored;
    std::string value;
    switch (tag & 7) {  // the wire type
      case 0:
        if (!in.ReadVarint64(&ignored)) return broken;
        break;
      case 1:
        if (!in.Skip(8)) return broken;
        break;
      case 2:
        if (!in.ReadVarint32(&length) || !in.ReadString(&value, static_cast<int>(length))) return broken;
        TF_RETURN_IF_ERROR(field(static_cast<int>(tag >> 3), value));
        break;
      case 5:
        if (!in.Skip(4)) return broken;
        break;
      default:
        return broken;
    }
  }
  return in.ConsumedEntireMessage() ? Status() : broken;
}

// An entry of map<string, TensorProto>.
Status ParseInput(const std::string& entry, std::map<std::string, Tensor>* inputs) {
  std::string name;
  TensorProto proto;
  TF_RETURN_IF_ERROR(ForEachField(entry, [&](int number, const std::string& value) {
    if (number == 1) name = value;
    return number == 2 && !proto.ParseFromString(value) ? InvalidArgument("tensor parsing error: ", name) : Status();
  }));
  return (*inputs)[name].FromProto(proto) ? Status() : InvalidArgument("tensor parsing error: ", name);
}

// A PredictRequest: model_spec 1 (its signature_name 3), inputs 2, output_filter 3.
Status ParseRequest(const std::string& message, Request* request) {
  return ForEachField(message, [&](int number, const std::string& value) {
    if (number == 2) return ParseInput(value, &request->inputs);
    if (number == 3) request->output_filter.push_back(value);
    if (number != 1) return Status();
    return ForEachField(value, [&](int part, const std::string& text) {
      if (part == 3 && !text.empty()) request->signature = text;
      return Status();
    });
  });
}

// A PredictionLog, whose predict_log holds the request as field 1.
Status ParseRecord(const std::string& record, Request* request) {
  bool found = false;
  TF_RETURN_IF_ERROR(ForEachField(record, [&](int number, const std::string& value) {
    if (number == 1) return Status();  // log_metadata
    if (number != kPredictLog) return Unimplemented("Unsupported log_type for warmup: ", number);
    found = true;
    return ForEachField(value, [&](int part, const std::string& text) {
      return part == 1 ? ParseRequest(text, request) : Status();
    });
  }));
  return found ? Status() : Unimplemented("Unsupported log_type for warmup: 0");
}

// Runs the session on a request, by the names of tensors that its signature gives.
Status Answer(const tensorflow::SavedModelBundle& model, const Request& request, std::vector<std::string>* names,
              std::vector<Tensor>* outputs) {
  const auto& signatures = model.meta_graph_def.signature_def();
  const auto found = signatures.find(request.signature);
  if (found == signatures.end())
    return FailedPrecondition("Serving signature key \"", request.signature, "\" not found.");
  const SignatureDef& signature = found->second;
  if (request.inputs.size() != static_cast<size_t>(signature.inputs().size()))
    return InvalidArgument("input size does not match signature: ", request.inputs.size(),
                           "!=", signature.inputs().size());
  std::vector<std::pair<std::string, Tensor>> feeds;
  for (const auto& [name, tensor] : request.inputs) {
    const auto input = signature.inputs().find(name);
    if (input == signature.inputs().end()) return InvalidArgument("the signature has no input ", name);
    feeds.emplace_back(input->second.name(), tensor);
  }
  *names = request.output_filter;
  if (names->empty())
    for (const auto& output : signature.outputs()) names->push_back(output.first);
  std::vector<std::string> fetches;
  for (const std::string& name : *names) {
    const auto output = signature.outputs().find(name);
    if (output == signature.outputs().end())
      return InvalidArgument("output tensor alias not found in signature: ", name);
    fetches.push_back(output->second.name());
  }
  return model.session->Run(feeds, fetches, {}, outputs);
}

void WriteBytes(int field, const std::string& value, google::protobuf::io::CodedOutputStream* out) {
  out->WriteTag(static_cast<uint32_t>(field << 3 | 2));
  out->WriteVarint32(static_cast<uint32_t>(value.size()));
  out->WriteString(value);
}

// PredictResponse.outputs, field 1, a map<string, TensorProto>.
std::string Response(const std::vector<std::string>& names, const std::vector<Tensor>& outputs) {
  std::string response;
  google::protobuf::io::StringOutputStream stream(&response);
  google::protobuf::io::CodedOutputStream out(&stream);
  for (size_t i = 0; i < names.size(); ++i) {
    TensorProto proto;
    outputs[i].AsProtoField(&proto);
    std::string entry;
    {
      google::protobuf::io::StringOutputStream entry_stream(&entry);
      google::protobuf::io::CodedOutputStream entry_out(&entry_stream);
      WriteBytes(1, names[i], &entry_out);
      WriteBytes(2, proto.SerializeAsString(), &entry_out);
    }  // which writes what it still holds
    WriteBytes(1, entry, &out);
  }
  out.Trim();
  return response;
}

std::string Json(const std::string& text) {
  std::string out = "\"";
  for (const unsigned char c : text) {
    char code[8];
    if (c == '"' || c == '\\') {
      out += {'\\', static_cast<char>(c)};
    } else if (c < 0x20) {
      snprintf(code, sizeof(code), "\\u%04x", c);
      out += code;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + "\"";
}

// Does something, and prints what became of it.
bool Told(const std::string& what, const std::function<Status()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  const Status status = work();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  std::cout << "{" << what << ", \"milliseconds\": " << took.count()
            << ", \"error\": " << (status.ok() ? "null" : Json(status.ToString())) << "}" << std::endl;
  return status.ok();
}

Status LoadOps(const std::string& path) {
  const std::unique_ptr<TF_Status, decltype(&TF_DeleteStatus)> status(TF_NewStatus(), TF_DeleteStatus);
  TF_LoadLibrary(path.c_str(), status.get());  // never unloaded: its ops stay registered
  return TF_GetCode(status.get()) == TF_OK ? Status() : FailedPrecondition(path, ": ", TF_Message(status.get()));
}

bool Replay(const tensorflow::SavedModelBundle& model, const std::string& requests, const std::string& answers) {
  std::unique_ptr<tensorflow::RandomAccessFile> in;
  std::unique_ptr<tensorflow::WritableFile> out;
  tensorflow::Env* env = tensorflow::Env::Default();
  if (!Told("\"opened\": " + Json(requests), [&] {
        TF_RETURN_IF_ERROR(env->NewRandomAccessFile(requests, &in));
        return Status(env->NewWritableFile(answers, &out));
      }))
    return false;
  tensorflow::io::SequentialRecordReader reader(in.get());
  tensorflow::io::RecordWriter writer(out.get());
  tensorflow::tstring record;
  for (int count = 0;; ++count) {
    const Status read = reader.ReadRecord(&record);
    if (read.code() == absl::StatusCode::kOutOfRange) break;
    const bool answered = Told("\"request\": " + std::to_string(count), [&]() -> Status {
      TF_RETURN_IF_ERROR(read);
      if (count >= kMostRecords) return InvalidArgument("Number of warmup records exceeds the maximum (1000)");
      Request request;
      std::vector<std::string> names;
      std::vector<Tensor> outputs;
      TF_RETURN_IF_ERROR(ParseRecord(std::string(record), &request));
      TF_RETURN_IF_ERROR(Answer(model, request, &names, &outputs));
      return writer.WriteRecord(Response(names, outputs));
    });
    if (!answered) return false;
  }
  return writer.Close().ok() && out->Close().ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: loader SAVED_MODEL REQUESTS ANSWERS [OPS.so ...]" << std::endl;
    return 2;
  }
  tensorflow::SavedModelBundle model;
  const bool loaded = Told("\"loaded\": " + Json(argv[1]) + ", \"tensorflow\": " + Json(TF_Version()), [&] {
    for (int i = 4; i < argc; ++i) TF_RETURN_IF_ERROR(LoadOps(argv[i]));
    return tensorflow::LoadSavedModel({}, {}, argv[1], {kTag}, &model);
  });
  if (!loaded) return 1;
  return std::string(argv[2]).empty() || Replay(model, argv[2], argv[3]) ? 0 : 1;
}
