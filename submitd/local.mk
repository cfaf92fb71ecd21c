# what submitd/ makes
