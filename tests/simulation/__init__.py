"""The production core by the dozen under virtual time, with everything going wrong that can."""
