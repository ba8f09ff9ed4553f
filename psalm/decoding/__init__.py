"""From mask proposals to objects at the original size (PSALM, section 3.2)."""

from psalm.decoding.class_lists import among_all, likeliest_names, merge_parts
from psalm.decoding.dispatch import decode
from psalm.decoding.regions import join_regions
from psalm.decoding.result import prompt_texts
from psalm.decoding.thresholds import Thresholds

__all__ = ["Thresholds", "among_all", "decode", "join_regions", "likeliest_names", "merge_parts", "prompt_texts"]
