"""Which nodes of your ONNX model will break on which runtime, and why."""
