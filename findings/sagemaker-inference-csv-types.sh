#!/usr/bin/env bash
# sagemaker-inference 1.10.1: how a row of CSV is read depends on how its numbers are written, and on how many rows there are.
#
# This toolkit reads requests in AWS's framework containers for PyTorch and MXNet, and in those built on it. Its decoder calls numpy's
# genfromtxt with dtype=None. A column of whole numbers beside one of decimals makes a structured array of one dimension, which no model
# takes: "5,3.5" fails where "5.0,3.5" is answered. An empty cell is 0 in a lone row, and NaN in the same row of a batch: a lone row gets
# another answer than it gets among others, and no error.
# Seen: [('f0', '<i8'), ('f1', '<f8')] (2,) beside float64 (2, 2); [5.1, 0.0] beside [[5.1, nan], [6.3, 2.5]].
# Way round: an input_fn of one's own, or JSON.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'sagemaker-inference==1.10.1' 'numpy<2.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
from sagemaker_inference import decoder


def decoded(text):
    array = decoder.decode(text, "text/csv")
    print(repr(text), array.dtype, array.shape, array.tolist())
    return array


decimals, mixed = decoded("5.0,3.5\n6.0,2.5\n"), decoded("5,3.5\n6,2.5\n")
assert (decimals.dtype, decimals.shape) == (numpy.float64, (2, 2)), decimals
assert (mixed.dtype.names, mixed.shape) == (("f0", "f1"), (2,)), mixed
lone, batch = decoded("5.1,\n"), decoded("5.1,\n6.3,2.5\n")
assert lone.tolist() == [5.1, 0.0], lone
assert numpy.isnan(batch[0][1]), batch
PYTHON
