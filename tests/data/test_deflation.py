import importlib
import sys
import zlib

import pytest

import bayesight.data.deflation as deflation


@pytest.fixture(params=["libdeflate", "zlib"])
def inflater(request, monkeypatch):
    """The module as it is with the library, and without it."""
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "deflate", None)
    spec = importlib.util.spec_from_file_location("deflation_under_test", deflation.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("size", [0, 1, 812, 300_000])
def test_inflates_what_zlib_packed(inflater, size):
    data = bytes(k * k % 251 for k in range(size))
    packed = zlib.compress(data)
    assert inflater.zlib_decompress(packed, max(1, size)) == data
    assert inflater.zlib_decompress(packed, size + 500) == data
    assert inflater.crc32(data) == zlib.crc32(data)


@pytest.mark.parametrize("size", [812, 300_000, 50_000_000])
def test_never_makes_more_than_asked_for(inflater, size):
    with pytest.raises(inflater.DeflateError):
        inflater.zlib_decompress(zlib.compress(bytes(size)), 811)


def test_damage_is_noticed(inflater):
    packed = zlib.compress(bytes(range(256)) * 3)
    for bad in (packed[:-5], packed[:-1] + bytes([packed[-1] ^ 1]), b"", b"no zlib data", packed[2:]):
        with pytest.raises(inflater.DeflateError):
            inflater.zlib_decompress(bad, 768)
