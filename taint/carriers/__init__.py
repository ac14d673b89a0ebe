"""Carriers: objects that hold a value and its labels, and what users call on them."""

from taint.carriers.proxy import TaintedProxy
from taint.carriers.text import TaintedBytes, TaintedStr
from taint.carriers.values import label, labels_of, plain, ranges_of

__all__ = ["TaintedBytes", "TaintedProxy", "TaintedStr", "label", "labels_of", "plain", "ranges_of"]
