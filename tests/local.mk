# what tests/ makes
