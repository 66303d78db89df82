#!/usr/bin/env python3
"""Makes tests/base/golden.gguf: every kind of metadata and a few tensors, as the Python package `gguf` writes them.

    python3 -m venv reference && reference/bin/pip install gguf==0.19.0
    reference/bin/python tests/base/make_golden.py
"""

from pathlib import Path

import numpy as np
from gguf import GGUFValueType, GGUFWriter

writer = GGUFWriter(Path(__file__).parent / "golden.gguf", "llama")
writer.add_custom_alignment(64)
writer.add_uint8("uint8", 200)
writer.add_int8("int8", -100)
writer.add_uint16("uint16", 60000)
writer.add_int16("int16", -30000)
writer.add_uint32("uint32", 4000000000)
writer.add_int32("int32", -2000000000)
writer.add_uint64("uint64", 2**63 - 1)
writer.add_int64("int64", -(2**62))
writer.add_float32("float32", 0.1)
writer.add_float64("float64", 0.1)
writer.add_bool("bool", True)
writer.add_string("string", "grün")
writer.add_array("strings", ["", "a", "grün"])
writer.add_array("integers", [-1, 2, 3])
writer.add_array("numbers", [0.5, -0.25])
writer.add_key_value("flags", [True, False], GGUFValueType.ARRAY, GGUFValueType.BOOL)
writer.add_tensor("matrix", np.arange(6, dtype=np.float32).reshape(2, 3))
writer.add_tensor("halves", np.arange(4, dtype=np.float16))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
