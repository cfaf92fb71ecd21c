# what db/ makes
