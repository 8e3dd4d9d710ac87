"""Closures as ONNX graphs: what a submission holds, what a file may contain, and how both are run."""
