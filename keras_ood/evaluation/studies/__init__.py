"""What is measured of a preset beside its scores: a study writes a file into the preset's folder.

A study takes `(detector, in-distribution data set, preset folder, folder of runs)` and returns what `preset.json` keeps of it
under the study's name.
"""

from keras_ood.evaluation.studies import adversarial, sample_quality, set_level

STUDIES = {"sample_quality": sample_quality.study, "set_level": set_level.study, "adversarial": adversarial.study}

__all__ = ["STUDIES"]
