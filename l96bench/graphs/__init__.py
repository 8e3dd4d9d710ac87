"""Closures as ONNX graphs: what a submission holds, what strangers' files may hold, and how both are run."""
