"""Networks of papers, small, in PyTorch: do they come through ONNX with the same outputs and gradients?

`python -m ci.paper_networks` prints a table, `--dynamo` that of PyTorch's newer exporter, which needs onnxscript.
"""
