#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a JSON file into a C array, without its blanks: embed.py FILE.json VARIABLE > FILE.c"""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    text = json.dumps(json.load(file), separators=(",", ":"), ensure_ascii=False) + "\n"
data = text.encode()
name = sys.argv[2]
print(f'#include "api/{name}.h"\n\nconst char {name}[] = {{')
for i in range(0, len(data), 16):
    print("   ", " ".join(f"{byte if byte < 128 else byte - 256}," for byte in data[i:i + 16]))
print(f"    0,\n}};\nconst size_t {name}_len = sizeof({name}) - 1;")
