# what auth/ makes
