"""How fast zenv is, as ratios: everything compared is measured in turn within one run, and medians are printed."""
