"""Makes the files that peers read, from the models that ship in registry packages.

    models.py q8 SmolLM2.Q4_1.gguf OUT      the same weights as Q8_0, by llama.cpp's own quantiser
    models.py onnx model.safetensors OUT    MiniLM-L6 as ONNX, f32
    models.py int8 model.onnx OUT           the same, by onnxruntime's dynamic quantisation
    models.py matmul OUT                    one product of two inputs as ONNX
    models.py check model.onnx GOLDEN       compares with known embeddings

The ONNX graph is what an exporter would write for BERT, operator by operator: ids in, mean-pooled
and normalised embeddings out. onnxruntime fuses attention, GELU and LayerNorm itself.
"""

import json
import sys

import numpy


def q8(source, out):
    import gguf

    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(out, architecture)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        value = field.contents()
        if field.name == "general.file_type":
            value = int(gguf.LlamaFileType.MOSTLY_Q8_0)
        writer.add_key_value(field.name, value, kind, inner)
    q8_0 = gguf.GGMLQuantizationType.Q8_0
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if kind == gguf.GGMLQuantizationType.Q4_1:
            data = gguf.quantize(gguf.dequantize(data, kind), q8_0)
            kind = q8_0
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


HEADS, LAYERS, WIDTH = 12, 6, 384
EPSILON = 1e-12


class Graph:
    """Nodes and constants of an ONNX graph, named by counting."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, value, dtype=numpy.float32):
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        array = numpy.ascontiguousarray(value, dtype=dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind, *inputs, **attributes):
        from onnx import helper

        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def linear(self, x, weight, bias):
        product = self.op("MatMul", x, self.constant(weight.T))
        return self.op("Add", product, self.constant(bias))

    def norm(self, x, gain, bias):
        gain, bias = self.constant(gain), self.constant(bias)
        return self.op("LayerNormalization", x, gain, bias, axis=-1, epsilon=EPSILON)

    def heads(self, x, order):
        shape = self.constant([0, 0, HEADS, WIDTH // HEADS], numpy.int64)
        return self.op("Transpose", self.op("Reshape", x, shape), perm=order)

    def gelu(self, x):
        half, one = self.constant(0.5), self.constant(1.0)
        erf = self.op("Erf", self.op("Div", x, self.constant(numpy.sqrt(2.0))))
        return self.op("Mul", self.op("Mul", x, self.op("Add", erf, one)), half)


def build(weights):
    graph = Graph()
    ids = "input_ids"
    words = graph.op("Gather", graph.constant(weights["embeddings.word_embeddings.weight"]), ids)
    kinds = weights["embeddings.token_type_embeddings.weight"][0]
    places = weights["embeddings.position_embeddings.weight"] + kinds
    one = graph.constant([1], numpy.int64)
    length = graph.op("Slice", graph.op("Shape", ids), one, graph.constant([2], numpy.int64))
    zero = graph.constant([0], numpy.int64)
    places = graph.op("Slice", graph.constant(places), zero, length, zero)
    x = graph.op("Add", words, places)

    def norm(x, name):
        return graph.norm(x, weights[name + ".LayerNorm.weight"], weights[name + ".LayerNorm.bias"])

    def dense(x, name):
        return graph.linear(x, weights[name + ".weight"], weights[name + ".bias"])

    x = norm(x, "embeddings")
    flat = graph.constant([0, 0, WIDTH], numpy.int64)
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        own = at + "attention.self."
        query = graph.heads(dense(x, own + "query"), [0, 2, 1, 3])
        key = graph.heads(dense(x, own + "key"), [0, 2, 3, 1])
        value = graph.heads(dense(x, own + "value"), [0, 2, 1, 3])
        scores = graph.op("MatMul", query, key)
        scale = graph.constant(numpy.sqrt(WIDTH / HEADS))
        mixed = graph.op("MatMul", graph.op("Softmax", graph.op("Div", scores, scale)), value)
        mixed = graph.op("Reshape", graph.op("Transpose", mixed, perm=[0, 2, 1, 3]), flat)
        mixed = dense(mixed, at + "attention.output.dense")
        x = norm(graph.op("Add", mixed, x), at + "attention.output")
        wide = graph.gelu(dense(x, at + "intermediate.dense"))
        x = norm(graph.op("Add", dense(wide, at + "output.dense"), x), at + "output")
    mean = graph.op("ReduceMean", x, graph.constant([1], numpy.int64), keepdims=0)
    graph.nodes.append(_normalise(mean))
    return graph


def _normalise(mean):
    from onnx import helper

    return helper.make_node("LpNormalization", [mean], ["embedding"], axis=-1, p=2)


def save(name, nodes, inputs, outputs, constants, out):
    import onnx
    from onnx import helper

    values = [[helper.make_tensor_value_info(*one) for one in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, name, *values, constants)
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, out)


def onnx_file(source, out):
    from onnx import TensorProto
    from safetensors.numpy import load_file

    graph = build(load_file(source))
    ids = ("input_ids", TensorProto.INT64, ["batch", "tokens"])
    embedding = ("embedding", TensorProto.FLOAT, ["batch", WIDTH])
    save("minilm", graph.nodes, [ids], [embedding], graph.constants, out)


def matmul(out):
    from onnx import TensorProto, helper

    matrix = lambda name, *shape: (name, TensorProto.FLOAT, list(shape))
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    save("product", [node], [matrix("a", "m", "k"), matrix("b", "k", "n")], [matrix("c", "m", "n")], [], out)


def int8(source, out):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, out, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])


def check(source, golden):
    import onnxruntime

    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    worst = 1.0
    with open(golden) as file:
        sentences = json.load(file)["sentences"]
    for sentence in sentences:
        ids = numpy.array([sentence["ids"]], dtype=numpy.int64)
        (ours,) = session.run(None, {"input_ids": ids})
        wanted = numpy.array(sentence["embedding_normalized"])
        worst = min(worst, float(ours[0] @ wanted / numpy.linalg.norm(ours) / numpy.linalg.norm(wanted)))
    print(json.dumps({"min_cosine": worst}))


if __name__ == "__main__":
    commands = {"q8": q8, "onnx": onnx_file, "int8": int8, "matmul": matmul, "check": check}
    commands[sys.argv[1]](*sys.argv[2:])
