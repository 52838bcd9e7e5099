"""TFRecords survive a round trip, every flipped bit is found, and TensorFlow agrees in both directions."""

import contextlib
import json
import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zoobot.errors import ShardError
from zoobot.shared.tfrecords import decode_example, encode_example, frame, read_records

FEATURES = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=10),
    st.lists(st.binary(max_size=40), max_size=3)
    | st.lists(st.floats(width=32, allow_nan=False), max_size=5).map(lambda values: np.array(values, np.float32))
    | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5).map(lambda values: np.array(values, np.int64)),
    max_size=5,
)


def as_lists(features):
    return {name: values if isinstance(values, list) else values.tolist() for name, values in features.items()}


@given(FEATURES)
def test_examples_survive(features):
    assert as_lists(decode_example(encode_example(features))) == as_lists(features)


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_records_survive(tmp_path_factory, payloads):
    path = tmp_path_factory.getbasetemp() / "a.tfrecord"
    path.write_bytes(b"".join(map(frame, payloads)))
    assert list(read_records(path)) == payloads


def crc32c(content):
    """Bit by bit, with the polynomial of Castagnoli et al. 1993."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@given(st.binary(max_size=50))
def test_records_are_those_of_the_format(payload):
    def masked(content):
        crc = crc32c(content)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32)

    assert crc32c(b"123456789") == 0xE3069283  # the check value of the catalogue of CRC algorithms
    length = struct.pack("<Q", len(payload))
    assert frame(payload) == length + masked(length) + payload + masked(payload)


@given(st.integers(0, 8 * 75 - 1))
def test_every_flipped_bit_is_found(tmp_path_factory, bit):
    path = tmp_path_factory.getbasetemp() / "a.tfrecord"
    content = bytearray(frame(b"galaxy" * 5) + frame(b"") + frame(b"spiral" * 2 + b"x"))
    assert len(content) >= 75
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    with pytest.raises(ShardError, match=r"a\.tfrecord' is (damaged|truncated): "):
        list(read_records(path))


@pytest.mark.parametrize("kept", [5, 11, 12, 20, 45])
def test_truncated_file_says_where(tmp_path, kept):
    (tmp_path / "a.tfrecord").write_bytes((frame(b"galaxy" * 5) + frame(b"g"))[:-17][:kept])
    with pytest.raises(ShardError, match="is truncated: it ends within the record at byte 0"):
        list(read_records(tmp_path / "a.tfrecord"))


@given(st.binary(max_size=300))
@example(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
@example(b"\x0a\x02\x0a\x00")
@example(b"\xff" * 20)
def test_noise_gives_features_or_one_of_our_errors(tmp_path_factory, noise):
    path = tmp_path_factory.getbasetemp() / "noise.tfrecord"
    path.write_bytes(noise)
    with contextlib.suppress(ShardError):
        list(read_records(path))
    with contextlib.suppress(ShardError):
        decode_example(noise)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ShardError, match=r"The shard '.*none' cannot be read: No such file"):
        list(read_records(tmp_path / "none"))


# --- TensorFlow, in its own environment: importing it beside torch's triton would abort Python ---

WITH_TENSORFLOW = """
import json, sys
import numpy as np
import tensorflow as tf

ours, theirs, labels = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
description = {"id_str": tf.io.FixedLenFeature([], tf.string), "image": tf.io.FixedLenFeature([], tf.string)}
description |= {"shape": tf.io.FixedLenFeature([3], tf.int64)}
description |= {label: tf.io.FixedLenFeature([], tf.float32) for label in labels}
found = []
with tf.io.TFRecordWriter(theirs) as writer:
    for record in tf.data.TFRecordDataset(ours):
        example = tf.io.parse_single_example(record, description)
        image = tf.reshape(tf.io.decode_raw(example["image"], tf.uint8), example["shape"])
        name = example["id_str"].numpy().decode()
        votes = [float(example[label]) for label in labels]
        found.append([name, image.numpy().tolist(), votes])
        floats = [tf.train.Feature(float_list=tf.train.FloatList(value=[vote])) for vote in votes]
        features = dict(zip(labels, floats))
        features["id_str"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[name.encode()]))
        features["image"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.numpy().tobytes()]))
        features["shape"] = tf.train.Feature(int64_list=tf.train.Int64List(value=image.shape))
        writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def tensorflow_python():
    """The interpreter of TensorFlow's environment."""
    beside = Path(__file__).parents[2] / ".venv-tensorflow" / "bin" / "python"
    python = os.environ.get("ZOOBOT_TENSORFLOW_PYTHON", str(beside))
    if not Path(python).is_file():
        pytest.skip(f"TensorFlow is needed in its own environment, '{python}' ('make .venv-tensorflow/installed')")
    return python


def test_tensorflow_reads_ours_and_we_read_its(tmp_path, tensorflow_python):
    labels = ["smooth_yes", "smooth_no"]
    rng = np.random.default_rng(0)
    galaxies = [
        (f"J1322.{row}+0052é", rng.integers(0, 256, (3, 4, 1 + row), np.uint8), [float(row), 0.5]) for row in range(3)
    ]
    ours, theirs = tmp_path / "ours.tfrecord", tmp_path / "theirs.tfrecord"
    ours.write_bytes(
        b"".join(
            frame(
                encode_example(
                    {
                        "id_str": [name.encode()],
                        "image": [image.tobytes()],
                        "shape": np.array(image.shape, np.int64),
                        **{label: np.array([vote], np.float32) for label, vote in zip(labels, votes, strict=True)},
                    }
                )
            )
            for name, image, votes in galaxies
        )
    )
    command = [tensorflow_python, "-c", WITH_TENSORFLOW, str(ours), str(theirs), json.dumps(labels)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[name, image.tolist(), votes] for name, image, votes in galaxies]
    decoded = [decode_example(payload) for payload in read_records(theirs)]
    for features, (name, image, votes) in zip(decoded, galaxies, strict=True):
        assert features["id_str"] == [name.encode()]
        assert features["image"] == [image.tobytes()]
        assert features["shape"].tolist() == list(image.shape)
        assert [features[label][0] for label in labels] == votes
