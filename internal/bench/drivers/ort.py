"""Times ONNX Runtime. Protocol: "setup file threads n c h w", then "run reps"."""
import os
import sys
import time

import numpy
import onnxruntime

now = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter
session = feed = None
for line in sys.stdin:
    words = line.split()
    try:
        if words[0] == "setup":
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = int(words[2])
            options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(words[1], options, providers=["CPUExecutionProvider"])
            shape = [int(w) for w in words[3:7]]
            feed = {"x": (numpy.arange(numpy.prod(shape)) % 97 / 97).astype(numpy.float32).reshape(shape)}
            print("ok", " ".join("%.6g" % v for v in session.run(None, feed)[0][0]))
        else:
            times = []
            for _ in range(int(words[1])):
                start = now()
                session.run(None, feed)
                times.append("%.9f" % (now() - start))
            print(" ".join(times))
    except Exception as e:
        print("error:", type(e).__name__, str(e).split("\n")[0])
    sys.stdout.flush()
